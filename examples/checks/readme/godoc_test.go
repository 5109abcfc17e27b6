package readme

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The code in the comment of a package stands, line by line, in the package's Examples, which are run.
func TestCodeInPackageCommentsIsThatOfExamples(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{
		"core", "core/rest", "core/embedded", "core/browser", "core/otel",
		"nethttpmw", "echomw", "echomw/v5", "ginmw", "fibermw", "fibermw/v3",
	} {
		code := codeOf(t, filepath.Join(root, folder))
		files, err := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		examples := make(map[string]bool)
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.SplitSeq(string(text), "\n") {
				examples[bare(line)] = true
			}
		}
		for _, line := range code {
			if !examples[bare(line)] {
				t.Errorf("%s: no Example has the line %s", folder, line)
			}
		}
	}
}

// bare is a line of code without its indentation and comment.
func bare(line string) string {
	line, _, _ = strings.Cut(line, " //")
	return strings.TrimSpace(line)
}

// codeOf returns the lines of code in the comment of the package in a folder.
func codeOf(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no file: %v", folder, err)
	}
	var code []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		code = append(code, codeIn(file.Doc)...)
	}
	return code
}

func codeIn(comment *ast.CommentGroup) []string {
	var code []string
	for line := range strings.SplitSeq(comment.Text(), "\n") {
		if text, ok := strings.CutPrefix(line, "\t"); ok && strings.TrimSpace(text) != "" {
			code = append(code, text)
		}
	}
	return code
}
