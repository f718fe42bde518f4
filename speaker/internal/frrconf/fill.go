package frrconf

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"text/template/parse"
)

// sections are the templates of frr.conf, by the name of their file or the one that a define gives them.
//
// They are written in the language of text/template and mean the same, but are filled here. That package calls methods by names which are known
// only when it runs, so the linker keeps every exported method of every type in the program that uses it: with all kinds of the Kubernetes API a
// fifth of the speaker, on every node. Here are values, fields and variables, if, else, with, range and template; anything else is an error.
type sections map[string]*parse.ListNode

// errUnknown is what a template gets that uses more of the language.
var errUnknown = errors.New("not something that the templates of frr.conf may use")

// readSections reads all templates of a directory.
func readSections(dir fs.FS) (sections, error) {
	files, err := fs.Glob(dir, "*.tmpl")
	if err != nil {
		return nil, fmt.Errorf("look for the templates: %w", err)
	}
	read := sections{}
	for _, name := range files {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, fmt.Errorf("read the templates: %w", err)
		}
		trees, err := parse.Parse(name, string(text), "", "")
		if err != nil {
			return nil, fmt.Errorf("read the templates: %w", err)
		}
		for name, tree := range trees {
			read[name] = tree.Root
		}
	}
	return read, nil
}

// fill writes a section with a value in the place of its dot.
func (s sections) fill(out *bytes.Buffer, name string, dot any) error {
	return s.section(out, name, reflect.ValueOf(dot))
}

func (s sections) section(out *bytes.Buffer, name string, dot reflect.Value) error {
	root, ok := s[name]
	if !ok {
		return fmt.Errorf("there is no template %q", name)
	}
	f := filling{sections: s, out: out, variables: []variable{{"$", dot}}}
	if err := f.list(dot, root); err != nil {
		return fmt.Errorf("template %q: %w", name, err)
	}
	return nil
}

// filling is a section of which a part is written.
type filling struct {
	sections sections
	out      *bytes.Buffer
	// variables are those that can be seen at this place of the template, the last declared last.
	variables []variable
}

type variable struct {
	name  string
	value reflect.Value
}

func (f *filling) list(dot reflect.Value, nodes *parse.ListNode) error {
	for _, n := range nodes.Nodes {
		if err := f.node(dot, n); err != nil {
			return err
		}
	}
	return nil
}

func (f *filling) node(dot reflect.Value, n parse.Node) error {
	switch n := n.(type) {
	case *parse.TextNode:
		f.out.Write(n.Text)
		return nil
	case *parse.ActionNode:
		return f.action(dot, n.Pipe)
	case *parse.IfNode:
		return f.branch(dot, &n.BranchNode)
	case *parse.WithNode:
		return f.branch(dot, &n.BranchNode)
	case *parse.RangeNode:
		return f.branch(dot, &n.BranchNode)
	case *parse.TemplateNode:
		if n.Pipe == nil {
			return fmt.Errorf("%s: %w", n, errUnknown)
		}
		value, err := f.pipe(dot, n.Pipe)
		if err != nil {
			return err
		}
		return f.sections.section(f.out, n.Name, value)
	default:
		return fmt.Errorf("%s: %w", n, errUnknown)
	}
}

// action writes a value, or keeps it in the variable that is declared.
func (f *filling) action(dot reflect.Value, pipe *parse.PipeNode) error {
	value, err := f.pipe(dot, pipe)
	if err != nil {
		return err
	}
	switch len(pipe.Decl) {
	case 0:
		_, err = fmt.Fprint(f.out, value.Interface())
		return err
	case 1:
		if !pipe.IsAssign {
			f.variables = append(f.variables, variable{pipe.Decl[0].Ident[0], value})
			return nil
		}
	}
	return fmt.Errorf("%s: %w", pipe, errUnknown)
}

// branch writes what is between if, with or range and its end. Variables that are declared there end with it.
func (f *filling) branch(dot reflect.Value, b *parse.BranchNode) error {
	if len(b.Pipe.Decl) > 0 {
		return fmt.Errorf("%s: %w", b.Pipe, errUnknown)
	}
	value, err := f.pipe(dot, b.Pipe)
	if err != nil {
		return err
	}
	outside := len(f.variables)
	defer func() { f.variables = f.variables[:outside] }()
	switch {
	case !isTrue(value):
		if b.ElseList == nil {
			return nil
		}
		return f.list(dot, b.ElseList)
	case b.NodeType == parse.NodeWith:
		return f.list(value, b.List)
	case b.NodeType == parse.NodeIf:
		return f.list(dot, b.List)
	case value.Kind() != reflect.Slice:
		return fmt.Errorf("range over %s: %w", value.Type(), errUnknown)
	}
	for i := range value.Len() {
		if err := f.list(value.Index(i), b.List); err != nil {
			return err
		}
	}
	return nil
}

// isTrue is what text/template says of a value: not empty and not zero. A struct is always something.
func isTrue(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.String, reflect.Map:
		return v.Len() > 0
	case reflect.Struct:
		return true
	default:
		return !v.IsZero()
	}
}

// pipe returns the one value that an action is about.
func (f *filling) pipe(dot reflect.Value, pipe *parse.PipeNode) (reflect.Value, error) {
	if len(pipe.Cmds) == 1 && len(pipe.Cmds[0].Args) == 1 {
		switch n := pipe.Cmds[0].Args[0].(type) {
		case *parse.DotNode:
			return dot, nil
		case *parse.FieldNode:
			return field(dot, n.Ident)
		case *parse.VariableNode:
			return field(f.variable(n.Ident[0]), n.Ident[1:])
		}
	}
	return reflect.Value{}, fmt.Errorf("%s: %w", pipe, errUnknown)
}

// variable returns the value of one that is declared: others are no templates to the parser.
func (f *filling) variable(name string) reflect.Value {
	for _, v := range slices.Backward(f.variables) {
		if v.name == name {
			return v.value
		}
	}
	return reflect.Value{}
}

// field follows a path of fields.
func field(v reflect.Value, path []string) (reflect.Value, error) {
	for _, name := range path {
		at := reflect.Indirect(v)
		if at.Kind() != reflect.Struct {
			return reflect.Value{}, fmt.Errorf("look for %s in %s: wanted a struct", name, v.Kind())
		}
		if v = at.FieldByName(name); !v.IsValid() {
			return reflect.Value{}, fmt.Errorf("%s has no field %s", at.Type(), name)
		}
	}
	return v, nil
}
