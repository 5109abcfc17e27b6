package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
)

// Mistakes in Go. The rule of this file: an edit is of one expression or statement, and leaves all that is
// around it as it was. One that does not compile does no harm, the compiler finds it; but where that is
// plain from the syntax the edit is not made, since finding it takes seconds.

// replacements of operators, for both languages.
var replacements = map[string][]struct{ rule, text string }{
	"==": {{"flip", "!="}},
	"!=": {{"flip", "=="}},
	"<":  {{"boundary", "<="}, {"flip", ">="}},
	"<=": {{"boundary", "<"}, {"flip", ">"}},
	">":  {{"boundary", ">="}, {"flip", "<="}},
	">=": {{"boundary", ">"}, {"flip", "<"}},
	"&&": {{"and-or", "||"}},
	"||": {{"and-or", "&&"}},
	"+":  {{"plus-minus", "-"}},
	"-":  {{"plus-minus", "+"}},
	"+=": {{"plus-minus", "-="}},
	"-=": {{"plus-minus", "+="}},
	"++": {{"plus-minus", "--"}},
	"--": {{"plus-minus", "++"}},
}

// goRules collects edits while it walks through a file.
type goRules struct {
	source  string
	file    *token.File
	edits   []edit
	skipped map[ast.Node]bool
}

// goEdits returns all the mistakes that the rules can make in the file.
func goEdits(source []byte) ([]edit, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "", source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	r := &goRules{source: string(source), file: set.File(file.Pos()), skipped: make(map[ast.Node]bool)}
	for _, declaration := range file.Decls {
		ast.Inspect(declaration, r.visit)
	}
	return r.edits, nil
}

func (r *goRules) add(rule string, from, to token.Pos, text string) {
	r.edits = append(r.edits, edit{rule, r.file.Offset(from), r.file.Offset(to), text})
}

func (r *goRules) visit(node ast.Node) bool {
	switch n := node.(type) {
	case *ast.ImportSpec:
		return false
	case *ast.Field:
		if n.Tag != nil {
			r.skipped[n.Tag] = true
		}
	case *ast.FuncDecl:
		r.keepLast(n.Body)
	case *ast.FuncLit:
		r.keepLast(n.Body)
	case *ast.BinaryExpr:
		if !isText(n) {
			r.operator(n.OpPos, n.Op)
		}
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			r.add("not", n.OpPos, n.X.Pos(), "")
		}
	case *ast.CallExpr:
		r.keepMessages(n)
	case *ast.BasicLit:
		r.constant(n)
	case *ast.Ident:
		r.truth(n)
	case *ast.IfStmt:
		r.condition(n.Cond)
	case *ast.AssignStmt:
		if !isText(n.Rhs[0]) {
			r.operator(n.TokPos, n.Tok)
		}
	case *ast.IncDecStmt:
		r.operator(n.TokPos, n.Tok)
	case *ast.BranchStmt:
		r.branch(n)
	case *ast.BlockStmt:
		r.statements(n.List)
	case *ast.CaseClause:
		r.statements(n.Body)
	case *ast.CommClause:
		r.statements(n.Body)
	}
	return true
}

// keepLast keeps the statement without which a function does not return what it must.
func (r *goRules) keepLast(body *ast.BlockStmt) {
	if body != nil && len(body.List) > 0 {
		r.skipped[body.List[len(body.List)-1]] = true
	}
}

// statements leaves out one statement. A declaration stays, as its name is used further on.
func (r *goRules) statements(list []ast.Stmt) {
	for _, statement := range list {
		switch s := statement.(type) {
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE {
				continue
			}
		case *ast.ExprStmt, *ast.DeferStmt, *ast.GoStmt, *ast.IncDecStmt, *ast.SendStmt:
		case *ast.ReturnStmt:
			if r.skipped[s] {
				continue
			}
		default:
			continue
		}
		r.add("delete", statement.Pos(), statement.End(), "")
	}
}

// operator puts another operator in the place of one.
func (r *goRules) operator(at token.Pos, op token.Token) {
	for _, replacement := range replacements[op.String()] {
		r.add(replacement.rule, at, at+token.Pos(len(op.String())), replacement.text)
	}
}

// condition is still evaluated when its outcome is settled: it may use a variable that is not used again.
func (r *goRules) condition(e ast.Expr) {
	r.add("if-true", e.End(), e.End(), " || true")
	from, to := r.file.Offset(e.Pos()), r.file.Offset(e.End())
	r.edits = append(r.edits, edit{"if-false", from, to, "(" + r.source[from:to] + ") && false"})
}

func (r *goRules) branch(s *ast.BranchStmt) {
	to := map[token.Token]string{token.BREAK: "continue", token.CONTINUE: "break"}[s.Tok]
	if to != "" {
		r.add("break-continue", s.TokPos, s.TokPos+token.Pos(len(s.Tok.String())), to)
	}
}

func (r *goRules) truth(name *ast.Ident) {
	switch name.Name {
	case "true":
		r.add("true-false", name.Pos(), name.End(), "false")
	case "false":
		r.add("true-false", name.Pos(), name.End(), "true")
	}
}

func (r *goRules) constant(literal *ast.BasicLit) {
	switch literal.Kind {
	case token.INT:
		if n, err := strconv.ParseInt(literal.Value, 0, 64); err == nil {
			r.add("const+1", literal.Pos(), literal.End(), fmt.Sprint(n+1))
			r.add("const-1", literal.Pos(), literal.End(), fmt.Sprint(n-1))
		}
	case token.STRING:
		text, err := strconv.Unquote(literal.Value)
		if err == nil && text != "" && !isMessage(text) && !r.skipped[literal] {
			r.add("empty", literal.Pos(), literal.End(), `""`)
		}
	}
}

// keepMessages keeps what a call only says.
func (r *goRules) keepMessages(call *ast.CallExpr) {
	if !speakers[calledName(call)] {
		return
	}
	for _, argument := range call.Args {
		r.skipped[argument] = true
	}
}

// speakers are functions whose strings are for people, however short they are.
var speakers = map[string]bool{"New": true, "Errorf": true, "panic": true}

func calledName(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// isText reports whether an expression is of strings, which cannot be subtracted.
func isText(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Kind == token.STRING
	case *ast.ParenExpr:
		return isText(e.X)
	case *ast.BinaryExpr:
		return e.Op == token.ADD && (isText(e.X) || isText(e.Y))
	}
	return false
}
