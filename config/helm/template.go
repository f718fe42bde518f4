package helm

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// template is an object that is to become a template. While it is still an object, marks stand where the text of the template is to differ.
type template struct{ texts []string }

func newTemplate() *template { return &template{} }

// mark returns what stands for text in the object: in a value it is replaced in place; as a whole line it takes the line's place, with every line of
// text indented like it.
func (t *template) mark(text string) string {
	t.texts = append(t.texts, text)
	return fmt.Sprintf(markFormat, len(t.texts)-1)
}

// markFormat begins with a z so that as a key a mark is never the first of an entry of a list, whose hyphen is not its own.
const markFormat = "zMARK%03d"

// marked finds what mark returns, and whole lines of it: an entry of a list, or a key whose value is the same mark.
var (
	marked     = regexp.MustCompile(`zMARK\d{3}`)
	markedLine = regexp.MustCompile(`(?m)^( *)(?:- )?(zMARK\d{3})(?:: zMARK\d{3})?$`)
)

// render writes the template of o, whose namespace becomes the release's.
func (t *template) render(o *unstructured.Unstructured, namespace string) ([]byte, error) {
	o = o.DeepCopy()
	o.Object = inRelease(o.Object, namespace).(map[string]any)
	text, err := yaml.Marshal(o.Object)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", o.GetKind(), o.GetName(), err)
	}
	if strings.Contains(strings.ReplaceAll(string(text), releaseNamespace, ""), "{{") {
		return nil, fmt.Errorf("%s %s has a {{ in it: Helm would take that for its own", o.GetKind(), o.GetName())
	}
	out := markedLine.ReplaceAllStringFunc(string(text), func(line string) string {
		m := markedLine.FindStringSubmatch(line)
		body := strings.NewReplacer("\n", "\n"+m[1], sameLevel, strconv.Itoa(len(m[1])), nextLevel, strconv.Itoa(len(m[1])+2)).Replace(t.text(m[2]))
		return m[1] + body
	})
	out = marked.ReplaceAllStringFunc(out, t.text)
	return []byte("# Made from config/ by \"make generate\".\n" + out), nil
}

func (t *template) text(mark string) string {
	var i int
	if _, err := fmt.Sscanf(mark, markFormat, &i); err != nil || i >= len(t.texts) {
		return mark
	}
	return t.texts[i]
}

const releaseNamespace = "{{ .Release.Namespace }}"

// inRelease returns value with the namespace of the release in every place that is the namespace of config/default and nothing else.
func inRelease(value any, namespace string) any {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			v[key] = inRelease(inner, namespace)
		}
		return v
	case []any:
		for i, inner := range v {
			v[i] = inRelease(inner, namespace)
		}
		return v
	case string:
		if v == namespace {
			return releaseNamespace
		}
	}
	return value
}

// What stands in a text for the number of spaces that its line is indented by, and for that of the level below.
const (
	sameLevel = "INDENT"
	nextLevel = "NESTED"
)

// key adds to an object, in place of what it has there, a key whose value is that of a path in the values; empty values leave it out.
func (t *template) key(of map[string]any, name, path string) {
	delete(of, name)
	mark := t.mark("{{- with .Values." + path + " }}\n" + name + ":\n  {{- toYaml . | nindent " + nextLevel + " }}\n{{- end }}")
	of[mark] = mark
}

// entries adds to an object or a list what a path in the values has.
func (t *template) entries(path string) string {
	return t.mark("{{- with .Values." + path + " }}\n{{- toYaml . | nindent " + sameLevel + " }}\n{{- end }}")
}
