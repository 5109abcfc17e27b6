package record

import "strings"

// Key names a resource's one key: the prefix, and the uid between braces, such as "editlock:{draft-7}". The
// braces are a hash tag, which keeps the key in one slot of a cluster. A brace, '%' or '/' of the uid's own is
// percent-encoded, so two uids never share a key. The channel on which changes of the resource are announced has the
// same name.
func Key(prefix, uid string) string {
	if strings.ContainsAny(uid, "%{}/") {
		uid = percentEncoded.Replace(uid)
	}
	return prefix + "{" + uid + "}"
}

var percentEncoded = strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D", "/", "%2F")

// TenantPrefix returns the prefix of a tenant's keys, such as "editlock:acme/". A '/' of the name's own is encoded
// too, so two tenants never share a prefix, and none has that of the resources without a tenant.
func TenantPrefix(prefix, tenant string) string {
	return prefix + percentEncoded.Replace(tenant) + "/"
}

// Resource returns what a key names: the uid, and the tenant where there is one. prefix is that without a tenant.
func Resource(prefix, key string) (tenant, uid string) {
	tenant, uid, _ = strings.Cut(strings.TrimPrefix(key, prefix), "{")
	tenant, uid = strings.TrimSuffix(tenant, "/"), strings.TrimSuffix(uid, "}")
	return percentDecoded.Replace(tenant), percentDecoded.Replace(uid)
}

// IsResource reports whether a key is a resource's: what Key makes of what Resource returns. A user's index is none, and
// none is what others keep under the prefix.
func IsResource(prefix, key string) bool {
	tenant, uid := Resource(prefix, key)
	namespace := prefix
	if tenant != "" {
		namespace = TenantPrefix(prefix, tenant)
	}
	return Key(namespace, uid) == key
}

// Pattern returns a pattern of SCAN that the keys match whose uids begin with uidPrefix: those under a namespace, which is
// the prefix or a tenant's, or those under the prefix in any namespace. Other keys may match it too.
func Pattern(namespace, uidPrefix string, anyTenant bool) string {
	pattern := globEscaped.Replace(namespace)
	if anyTenant {
		pattern += "*"
	}
	return pattern + "{" + globEscaped.Replace(percentEncoded.Replace(uidPrefix)) + "*}"
}

var globEscaped = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`)

var percentDecoded = strings.NewReplacer("%25", "%", "%7B", "{", "%7D", "}", "%2F", "/")
