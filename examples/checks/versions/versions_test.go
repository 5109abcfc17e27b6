// Package versions compares the versions that papers name with the modules that CI tests.
package versions

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

const root = "../../.."

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func goMod(t *testing.T, folder string) *modfile.File {
	t.Helper()
	file, err := modfile.Parse(folder, []byte(read(t, filepath.Join(folder, "go.mod"))), nil)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// required returns the version of a module that a go.mod asks for, as 1.2 for v1.2.3.
func required(t *testing.T, file *modfile.File, path string) string {
	t.Helper()
	for _, r := range file.Require {
		if r.Mod.Path == path {
			return strings.TrimPrefix(semver.MajorMinor(r.Mod.Version), "v")
		}
	}
	t.Errorf("%s requires no %s", file.Module.Mod.Path, path)
	return ""
}

func TestReadmeNamesTheVersionsThatAreRequired(t *testing.T) {
	t.Parallel()
	page, main := read(t, "README.md"), goMod(t, ".")
	engine := "Go " + strings.TrimSuffix(main.Go.Version, ".0") + " or later, go-redis " + required(t, main, "github.com/redis/go-redis/v9") + ", "
	if !strings.Contains(page, engine) {
		t.Errorf("README.md does not say %q", engine)
	}
	for _, row := range []struct {
		folder, framework, adapter string
		major                      bool // the README names only the major
	}{
		{".", "github.com/labstack/echo/v4", "echomw", true},
		{".", "github.com/gin-gonic/gin", "ginmw", false},
		{".", "github.com/gofiber/fiber/v2", "fibermw", true},
		{"echomw/v5", "github.com/labstack/echo/v5", "echomw/v5", true},
		{"fibermw/v3", "github.com/gofiber/fiber/v3", "fibermw/v3", true},
	} {
		name := strings.Split(row.framework, "/")[2]
		version := " " + required(t, goMod(t, row.folder), row.framework)
		if row.major {
			major, _, _ := strings.Cut(version, ".")
			version = " v" + strings.TrimSpace(major)
		}
		if line := "| " + name + version + " | `github.com/editlock/editlock/" + row.adapter + "` |"; !strings.Contains(page, line) {
			t.Errorf("README.md has no row %q", line)
		}
	}
}

func TestReadmeTableHasEachAdapterAndTheEngineOnce(t *testing.T) {
	t.Parallel()
	_, table, _ := strings.Cut(read(t, "README.md"), "| you use | import |")
	table, _, _ = strings.Cut(table, "\n\n")
	var got []string
	for _, row := range regexp.MustCompile("(?m)^\\|.*`github\\.com/editlock/editlock/(.+?)` \\|(.*)$").FindAllStringSubmatch(table, -1) {
		folder, remark := row[1], row[2]
		own := slices.Contains(modules(t), folder)
		if says := strings.Contains(remark, "a module of its own"); says != own {
			t.Errorf("%s: a module of its own: %v, README.md says %v", folder, own, says)
		}
		got = append(got, folder)
	}
	slices.Sort(got)
	if want := append([]string{"core"}, folders(t, "*mw", "*mw/v*")...); !slices.Equal(got, want) {
		t.Errorf("README.md's table has %v, and there are %v", got, want)
	}
}

// The least Redis is the first that the workflow builds, and core.Open names it.
func TestReadmeNamesTheLeastRedisThatIsTested(t *testing.T) {
	t.Parallel()
	found := regexp.MustCompile(`branch: "(.+?)"`).FindStringSubmatch(read(t, ".github/workflows/ci.yml"))
	if found == nil {
		t.Fatal("the workflow builds no Redis")
	}
	least := "Redis " + found[1] + " or later"
	for _, file := range []string{"README.md", "core/open.go"} {
		if !strings.Contains(read(t, file), least) {
			t.Errorf("%s does not say %q", file, least)
		}
	}
}

// What README.md says of a server is what CI and the workflow run.
func TestReadmeNamesTheServersThatAreTested(t *testing.T) {
	t.Parallel()
	byCI := map[string][]string{"Redis": {"7.0"}} // of Debian 12, which .ci/run installs
	for _, row := range regexp.MustCompile(`(?m)^\w+ (redis|valkey)-server (\S+)$`).FindAllStringSubmatch(read(t, ".ci/servers"), -1) {
		addServer(byCI, row[1], row[2])
	}
	workflow := read(t, ".github/workflows/ci.yml")
	byWorkflow := make(map[string][]string)
	for _, row := range regexp.MustCompile(`repository: \S+/(\w+),?\s+branch: "(\S+)"`).FindAllStringSubmatch(workflow, -1) {
		addServer(byWorkflow, row[1], row[2])
	}
	for _, row := range regexp.MustCompile(`image: "?(?:\S+/)?(\w+):v?(\d+\.\d+)`).FindAllStringSubmatch(workflow, -1) {
		addServer(byWorkflow, row[1], row[2])
	}
	for _, server := range []string{"Redis", "Valkey", "Dragonfly"} {
		row := regexp.MustCompile(`(?m)^\| ` + server + ` \| (.*?) \| (.*?) \|`).FindStringSubmatch(read(t, "README.md"))
		if row == nil {
			t.Errorf("README.md has no row of %s", server)
			continue
		}
		for i, want := range []map[string][]string{byCI, byWorkflow} {
			slices.SortFunc(want[server], func(a, b string) int { return semver.Compare("v"+a, "v"+b) })
			if got := strings.ReplaceAll(strings.TrimSuffix(row[i+1], ", may fail"), "–", ""); got != strings.Join(want[server], ", ") {
				t.Errorf("README.md says of %s %q, and tested are %q", server, row[i+1], want[server])
			}
		}
	}
	if variable := "EDITLOCK_TEST_REDIS_URL"; !strings.Contains(workflow, variable+": redis://") ||
		!strings.Contains(read(t, "core/redistest/running.go"), `"`+variable+`"`) {
		t.Errorf("the workflow's services are not given to the tests as %s", variable)
	}
}

func addServer(servers map[string][]string, program, version string) {
	name := strings.ToUpper(program[:1]) + program[1:]
	if !slices.Contains(servers[name], version) {
		servers[name] = append(servers[name], version)
	}
}

// Modules that users import are tagged together, so each requires the same version of the main one.
func TestNestedModulesOfUsersRequireOneVersionOfTheMainModule(t *testing.T) {
	t.Parallel()
	versions := make(map[string][]string)
	for _, folder := range append(folders(t, "*mw/v*"), "core/otel") {
		for _, r := range goMod(t, folder).Require {
			if r.Mod.Path == goMod(t, ".").Module.Mod.Path {
				versions[r.Mod.Version] = append(versions[r.Mod.Version], folder)
			}
		}
	}
	if len(versions) != 1 {
		t.Errorf("the main module is required in these versions: %v", versions)
	}
}

func TestAllModulesAskForTheSameGoAndGoRedis(t *testing.T) {
	t.Parallel()
	main := goMod(t, ".")
	for _, folder := range modules(t) {
		file := goMod(t, folder)
		if file.Go.Version != main.Go.Version {
			t.Errorf("%s asks for go %s, the main module for %s", folder, file.Go.Version, main.Go.Version)
		}
		for _, r := range file.Require {
			if r.Mod.Path == "github.com/redis/go-redis/v9" && semver.MajorMinor(r.Mod.Version) != "v"+required(t, main, r.Mod.Path) {
				t.Errorf("%s asks for go-redis %s", folder, r.Mod.Version)
			}
		}
	}
}

func TestDependabotLooksAtAllModules(t *testing.T) {
	t.Parallel()
	var watched []string
	for _, found := range regexp.MustCompile(`(?m)^      - /(\S*)$`).FindAllStringSubmatch(read(t, ".github/dependabot.yml"), -1) {
		folder := found[1]
		if folder == "" {
			folder = "."
		}
		watched = append(watched, folder)
	}
	slices.Sort(watched)
	if all := modules(t); !slices.Equal(watched, all) {
		t.Errorf("Dependabot looks at %v, and there are %v", watched, all)
	}
}

// modules returns the folders of all modules.
func modules(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, file := range folders(t, "go.mod", "*/go.mod", "*/*/go.mod") {
		all = append(all, filepath.Dir(file))
	}
	slices.Sort(all)
	return all
}

// folders returns what fits one of the patterns, as paths from the top.
func folders(t *testing.T, patterns ...string) []string {
	t.Helper()
	var all []string
	for _, pattern := range patterns {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			name, err := filepath.Rel(root, path)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}
