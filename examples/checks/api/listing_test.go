package api

import (
	"go/types"
	"slices"
	"strings"
)

// listing returns the exported surface of a package, a line for each name: what a program may write that imports it.
// Names of parameters are not in it: no program depends on them.
func listing(p *types.Package, module string) []string {
	l := &lister{pkg: p, module: module}
	for _, name := range p.Scope().Names() {
		if object := p.Scope().Lookup(name); object.Exported() {
			l.object(object)
		}
	}
	slices.Sort(l.lines)
	return l.lines
}

type lister struct {
	pkg    *types.Package
	module string
	lines  []string
}

func (l *lister) add(words ...string) { l.lines = append(l.lines, strings.Join(words, " ")) }

// qualify names a package of the module by its last word, another one by its path.
func (l *lister) qualify(p *types.Package) string {
	switch {
	case p == l.pkg:
		return ""
	case strings.HasPrefix(p.Path(), l.module):
		return p.Name()
	}
	return p.Path()
}

func (l *lister) text(t types.Type) string { return types.TypeString(nameless(t), l.qualify) }

func (l *lister) object(object types.Object) {
	switch object := object.(type) {
	case *types.Const:
		l.add("const", object.Name(), l.text(object.Type()), "=", object.Val().ExactString())
	case *types.Var:
		l.add("var", object.Name(), l.text(object.Type()))
	case *types.Func:
		signature := object.Signature()
		l.add("func", object.Name()+l.parameters(signature.TypeParams())+l.call(signature))
	case *types.TypeName:
		l.named(object)
	}
}

// call is a signature without the word func.
func (l *lister) call(s *types.Signature) string { return strings.TrimPrefix(l.text(s), "func") }

// parameters is a list of type parameters, as in its declaration.
func (l *lister) parameters(list *types.TypeParamList) string {
	if list.Len() == 0 {
		return ""
	}
	var all []string
	for p := range list.TypeParams() {
		all = append(all, p.Obj().Name()+" "+l.text(p.Constraint()))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

func (l *lister) named(object *types.TypeName) {
	if object.IsAlias() {
		l.add("type", object.Name(), "=", l.text(types.Unalias(object.Type())))
		return
	}
	named := object.Type().(*types.Named)
	name := object.Name() + l.parameters(named.TypeParams())
	switch under := named.Underlying().(type) {
	case *types.Struct:
		l.add("type", name, "struct")
		l.fields(object.Name(), under)
		l.methods(object.Name(), named)
	case *types.Interface:
		l.add("type", name, "interface")
		l.demands(object.Name(), under)
	default:
		l.add("type", name, l.text(under))
		l.methods(object.Name(), named)
	}
}

// fields lists what a program may write after a value and a dot; also where an embedded field lends it.
func (l *lister) fields(owner string, s *types.Struct) {
	for field := range s.Fields() {
		switch lender, isStruct := under(field.Type()).(*types.Struct); {
		case field.Exported() && field.Embedded():
			l.add("field", owner+"."+field.Name(), l.text(field.Type()), "(embedded)")
		case field.Exported():
			l.add("field", owner+"."+field.Name(), l.text(field.Type()))
		case field.Embedded() && isStruct:
			l.fields(owner, lender)
		}
	}
}

// under is the type below a name and a pointer.
func under(t types.Type) types.Type {
	if pointer, ok := t.Underlying().(*types.Pointer); ok {
		return pointer.Elem().Underlying()
	}
	return t.Underlying()
}

func (l *lister) methods(owner string, named *types.Named) {
	values := types.NewMethodSet(named)
	for method := range types.NewMethodSet(types.NewPointer(named)).Methods() {
		object := method.Obj()
		if !object.Exported() {
			continue
		}
		receiver := "(*" + owner + ")"
		if values.Lookup(object.Pkg(), object.Name()) != nil {
			receiver = "(" + owner + ")"
		}
		l.add("method", receiver, object.Name()+l.call(method.Type().(*types.Signature)))
	}
}

// demands lists what an interface asks of a type.
func (l *lister) demands(owner string, i *types.Interface) {
	for method := range i.Methods() {
		l.add("method", "("+owner+" interface)", method.Name()+l.call(method.Signature()))
	}
	if !i.IsMethodSet() {
		l.add("constraint", owner, l.text(i))
	}
}

// nameless returns the type without the names of parameters.
func nameless(t types.Type) types.Type {
	switch t := t.(type) {
	case *types.Signature:
		return types.NewSignatureType(nil, nil, nil, namelessAll(t.Params()), namelessAll(t.Results()), t.Variadic())
	case *types.Pointer:
		return types.NewPointer(nameless(t.Elem()))
	case *types.Slice:
		return types.NewSlice(nameless(t.Elem()))
	case *types.Map:
		return types.NewMap(nameless(t.Key()), nameless(t.Elem()))
	}
	return t
}

func namelessAll(all *types.Tuple) *types.Tuple {
	var list []*types.Var
	for v := range all.Variables() {
		list = append(list, types.NewParam(v.Pos(), v.Pkg(), "", nameless(v.Type())))
	}
	return types.NewTuple(list...)
}
