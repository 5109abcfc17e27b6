package record

import "strings"

// Key names a resource's one key: the prefix, and the uid between braces, such as "editlock:{draft-7}". The
// braces are a hash tag, which keeps the key in one slot of a cluster. A brace or '%' of the uid's own is
// percent-encoded, so two uids never share a key.
func Key(prefix, uid string) string {
	if strings.ContainsAny(uid, "%{}") {
		uid = percentEncoded.Replace(uid)
	}
	return prefix + "{" + uid + "}"
}

var percentEncoded = strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D")

// Channel names where changes of hands are announced. It is no key of a resource: those end with '}'.
func Channel(prefix string) string { return prefix + "changes" }

// UID returns the uid of a key that Key made.
func UID(prefix, key string) string {
	uid := strings.TrimSuffix(strings.TrimPrefix(key, prefix+"{"), "}")
	return percentDecoded.Replace(uid)
}

var percentDecoded = strings.NewReplacer("%25", "%", "%7B", "{", "%7D", "}")
