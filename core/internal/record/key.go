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

var percentDecoded = strings.NewReplacer("%25", "%", "%7B", "{", "%7D", "}", "%2F", "/")
