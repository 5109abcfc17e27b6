package record

import (
	"strings"
	"testing"
)

func TestKeyNamesTheUID(t *testing.T) {
	t.Parallel()
	for uid, want := range map[string]string{
		"draft-7": "editlock:{draft-7}",
		"é":       "editlock:{é}",
		"a:b":     "editlock:{a:b}",
		"{":       "editlock:{%7B}",
		"}":       "editlock:{%7D}",
		"a}b{c":   "editlock:{a%7Db%7Bc}",
		"%7B":     "editlock:{%257B}",
		"changes": "editlock:{changes}",
	} {
		key := Key("editlock:", uid)
		if key != want {
			t.Errorf("%q has the key %q, want %q", uid, key, want)
		}
		if tenant, back := Resource("editlock:", key); tenant != "" || back != uid {
			t.Errorf("%q comes back from its key as %q of %q", uid, back, tenant)
		}
	}
}

func TestKeyOfATenantNamesBoth(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ tenant, uid, key string }{
		{"acme", "draft-7", "editlock:acme/{draft-7}"},
		{"a/b", "c", "editlock:a%2Fb/{c}"},
		{"a", "b", "editlock:a/{b}"},
		{"a{b", "}", "editlock:a%7Bb/{%7D}"},
		{"%2F", "c", "editlock:%252F/{c}"},
	} {
		key := Key(TenantPrefix("editlock:", test.tenant), test.uid)
		if key != test.key {
			t.Errorf("%q of %q has the key %q, want %q", test.uid, test.tenant, key, test.key)
		}
		if tenant, uid := Resource("editlock:", key); tenant != test.tenant || uid != test.uid {
			t.Errorf("%q comes back as %q of %q", key, uid, tenant)
		}
	}
}

func TestOnlyWhatKeyMakesIsAResource(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]bool{
		"editlock:{draft-7}":       true,
		"editlock:{%7B}":           true,
		"editlock:acme/{draft-7}":  true,
		"editlock:a%2Fb/{c}":       true,
		"editlock:users:/{a}":      true, // of the tenant "users:"
		"editlock:users:{1}":       false,
		"editlock:acme/users:{1}":  false,
		"editlock:{0}-probe":       false,
		"editlock:a/b/{c}":         false,
		"editlock:/{c}":            false,
		"editlock:a:{c}":           false,
		"editlock:{a}{b}":          false,
		"editlock:{a/b}":           false,
		"editlock:{a":              false,
		"editlock:a":               false,
		"other:{a}":                false,
		"{a}":                      false,
		"editlock:{%7b}":           false,
		"editlock:editlock:/{a}":   true,
		"editlock:editlock:{a}":    false,
		"editlock:acme%7B/{a%7Db}": true,
	} {
		if got := IsResource("editlock:", key); got != want {
			t.Errorf("%q is a resource's: %v", key, got)
		}
	}
}

func TestPatternEscapesWhatHasAMeaningInIt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		namespace, uidPrefix string
		anyTenant            bool
		want                 string
	}{
		{"editlock:", "", false, `editlock:{*}`},
		{"editlock:", "draft-", false, `editlock:{draft-*}`},
		{"editlock:", "draft-", true, `editlock:*{draft-*}`},
		{TenantPrefix("editlock:", "a*/"), `a?[b]{\`, false, `editlock:a\*%2F/{a\?\[b]%7B\\*}`},
	} {
		if got := Pattern(test.namespace, test.uidPrefix, test.anyTenant); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

// FuzzKey shows that two uids never share a key, since each comes back from its own, and that a uid cannot break
// the hash tag. A tag is, by the specification of Redis Cluster, what lies between the first '{' and the first '}'
// after it, if that is not empty.
func FuzzKey(f *testing.F) {
	for _, uid := range []string{"a", "}", "{", "{}", "}{", "draft-7", "é", "a}b{c", "%7B", "%25", strings.Repeat("}", 255), "\xff"} {
		f.Add(uid)
	}
	f.Fuzz(func(t *testing.T, uid string) {
		if uid == "" {
			return // no resource has it, and an empty tag would be none
		}
		key := Key("editlock:", uid)
		tag, begins := strings.CutPrefix(key, "editlock:{")
		tag, ends := strings.CutSuffix(tag, "}")
		if !begins || !ends || strings.ContainsAny(tag, "{}") || tag == "" {
			t.Fatalf("%q has the key %q", uid, key)
		}
		for _, tenant := range []string{"acme", uid, "a/" + uid} {
			of := Key(TenantPrefix("editlock:", tenant), uid)
			if gotTenant, got := Resource("editlock:", of); gotTenant != tenant || got != uid {
				t.Fatalf("%q of %q comes back from its key %q as %q of %q", uid, tenant, of, got, gotTenant)
			}
			if strings.Count(of, "{") != 1 || strings.Index(of, "{") != strings.LastIndex(of, "/")+1 {
				t.Fatalf("%q of %q has the key %q", uid, tenant, of)
			}
		}
		if tenant, back := Resource("editlock:", key); tenant != "" || back != uid {
			t.Fatalf("%q comes back from its key as %q of %q", uid, back, tenant)
		}
	})
}
