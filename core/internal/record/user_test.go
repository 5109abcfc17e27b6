package record

import "testing"

func TestNoTwoUsersAreOneInTheRecord(t *testing.T) {
	t.Parallel()
	seen := make(map[User]string)
	for _, id := range []string{
		"", "1", `"1"`, "-1", "99999999999999", "100000000000000", "-100000000000000", "4503599627370496",
		`"4503599627370496"`, `"#4503599627370496"`, `"##4503599627370496"`, `"#"`, `"##"`, `"#ann"`, `"ann"`,
	} {
		u := UserOf(id)
		if other, there := seen[u]; there {
			t.Errorf("%s and %s are both %s", id, other, u)
		}
		seen[u] = id
		if got := u.ID(); got != id {
			t.Errorf("%s is kept as %s and comes back as %s", id, u, got)
		}
	}
}
