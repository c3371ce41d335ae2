package watch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unique"

	"github.com/go-json-experiment/json/jsontext"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"opendatahub.io/operator/components/kinds"
)

// lenient is for JSON of the API server, which is taken as it is.
var lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// decode does to the JSON of an object what [StripChild] does to its tree, in one pass and without the tree: most events
// are never looked at, and building maps of them was a quarter of the operator's processor time.
func (g grouping) decode(content []byte, kind schema.GroupVersionKind) (*child, error) {
	s := stripper{d: jsontext.NewDecoder(bytes.NewBuffer(content), lenient...), kept: &child{}, labels: map[string]string{}}
	version, name := kind.ToAPIVersionAndKind()
	// Items of a list say neither.
	s.out = fmt.Appendf(make([]byte, 0, len(content)), `{"apiVersion":%q,"kind":%q`, version, name)
	err := s.members(func(name []byte) error {
		switch string(name) {
		case `"apiVersion"`, `"kind"`:
			return s.d.SkipValue()
		case `"metadata"`:
			return s.object(name, s.metadata)
		case `"data"`:
			if kind == kinds.Secret.GVK() {
				return s.object(name, s.secret)
			}
		}
		return s.copy(name)
	})
	if err != nil {
		return nil, fmt.Errorf("decoding %s: %w", kind.Kind, err)
	}
	s.kept.raw = bytes.Clone(append(s.out, '}')) // of the size that it needs
	s.kept.owner = unique.Make(g.OwnerOf(s.kept.key.Namespace, s.labels))
	return s.kept, nil
}

// stripper writes what is kept of the object that it reads.
type stripper struct {
	d      *jsontext.Decoder
	out    []byte
	kept   *child
	labels map[string]string
}

// members calls each for every member of the object that comes next; each must read the member's value. Names are in quotes, and
// valid until the next read.
func (s *stripper) members(each func(name []byte) error) error {
	if s.d.PeekKind() != '{' {
		return s.d.SkipValue()
	}
	if _, err := s.d.ReadToken(); err != nil {
		return err
	}
	for s.d.PeekKind() != '}' {
		name, err := s.d.ReadValue()
		if err != nil {
			return err
		}
		if err := each(name); err != nil {
			return err
		}
	}
	_, err := s.d.ReadToken()
	return err
}

// name begins a member.
func (s *stripper) name(name []byte) {
	if last := s.out[len(s.out)-1]; last != '{' && last != '[' {
		s.out = append(s.out, ',')
	}
	s.out = append(append(s.out, name...), ':')
}

// copy keeps a member as it is.
func (s *stripper) copy(name []byte) error {
	s.name(name)
	value, err := s.d.ReadValue()
	s.out = append(s.out, value...)
	return err
}

// object keeps a member that is an object as far as each of its members is kept.
func (s *stripper) object(name []byte, member func(name []byte) error) error {
	if s.d.PeekKind() != '{' {
		return s.copy(name)
	}
	s.name(name)
	s.out = append(s.out, '{')
	err := s.members(member)
	s.out = append(s.out, '}')
	return err
}

// text keeps a member, and returns its value if it is a string.
func (s *stripper) text(name []byte) (string, error) {
	s.name(name)
	value, err := s.d.ReadValue()
	s.out = append(s.out, value...)
	if err != nil || value.Kind() != '"' {
		return "", err
	}
	text, err := jsontext.AppendUnquote(nil, value)
	return string(text), err
}

func (s *stripper) metadata(name []byte) (err error) {
	switch string(name) {
	case `"managedFields"`:
		return s.managedFields()
	case `"labels"`:
		return s.object(name, func(name []byte) (err error) {
			label, err := jsontext.AppendUnquote(nil, name)
			if err == nil {
				s.labels[string(label)], err = s.text(name)
			}
			return err
		})
	case `"name"`:
		s.kept.key.Name, err = s.text(name)
	case `"namespace"`:
		s.kept.key.Namespace, err = s.text(name)
	case `"resourceVersion"`:
		s.kept.version, err = s.text(name)
	case `"uid"`:
		var uid string
		uid, err = s.text(name)
		s.kept.uid = types.UID(uid)
	default:
		err = s.copy(name)
	}
	return err
}

// managedFields keeps the entries of our managers, with their field sets as text.
func (s *stripper) managedFields() error {
	if s.d.PeekKind() != '[' {
		return s.d.SkipValue()
	}
	if _, err := s.d.ReadToken(); err != nil {
		return err
	}
	first := true
	for s.d.PeekKind() != ']' {
		entry, err := s.d.ReadValue()
		if err != nil {
			return err
		}
		kept := stripper{d: jsontext.NewDecoder(bytes.NewBuffer(entry), lenient...), out: []byte{'{'}}
		manager := ""
		err = kept.members(func(name []byte) (err error) {
			switch string(name) {
			case `"manager"`:
				manager, err = kept.text(name)
			case `"fieldsV1"`:
				err = kept.fieldSet(name)
			default:
				err = kept.copy(name)
			}
			return err
		})
		if err != nil {
			return err
		}
		if !strings.HasPrefix(manager, ManagerPrefix) {
			continue
		}
		if first {
			s.name([]byte(`"managedFields"`))
			s.out = append(s.out, '[')
		} else {
			s.out = append(s.out, ',')
		}
		first = false
		s.out = append(append(s.out, kept.out...), '}')
	}
	if !first {
		s.out = append(s.out, ']')
	}
	_, err := s.d.ReadToken()
	return err
}

func (s *stripper) fieldSet(name []byte) error {
	s.name(name)
	value, err := s.d.ReadValue()
	if err != nil {
		return err
	}
	s.out, err = jsontext.AppendQuote(s.out, []byte(value))
	return err
}

// secret keeps digests of values.
func (s *stripper) secret(name []byte) error {
	s.name(name)
	value, err := s.d.ReadValue()
	if err != nil || value.Kind() != '"' {
		s.out = append(s.out, value...)
		return err
	}
	text, err := jsontext.AppendUnquote(nil, value)
	if err != nil {
		return err
	}
	s.out, err = jsontext.AppendQuote(s.out, digest(string(text)))
	return err
}

// CanonicalFieldSet is equal for texts of the same field set, in whatever order and notation they are.
func CanonicalFieldSet(text string) string {
	same := jsontext.Value(text)
	if err := same.Canonicalize(); err != nil {
		return text // not UTF-8; it is compared as it is
	}
	return string(same)
}

// events reads the stream of a watch.
type events struct {
	body io.ReadCloser
	s    stripper
	kind schema.GroupVersionKind
	by   grouping
}

var _ watch.Decoder = (*events)(nil)

func newEvents(body io.ReadCloser, kind schema.GroupVersionKind, by grouping) *events {
	return &events{body: body, s: stripper{d: jsontext.NewDecoder(body, lenient...)}, kind: kind, by: by}
}

// Decode implements watch.Decoder.
func (e *events) Decode() (watch.EventType, runtime.Object, error) {
	event, content := "", []byte(nil)
	err := e.s.members(func(name []byte) error {
		switch string(name) {
		case `"type"`:
			value, err := e.s.d.ReadValue()
			if err != nil {
				return err
			}
			text, err := jsontext.AppendUnquote(nil, value)
			event = string(text)
			return err
		case `"object"`:
			value, err := e.s.d.ReadValue()
			e.s.out = append(e.s.out[:0], value...) // it is valid until the next read only
			content = e.s.out
			return err
		default:
			return e.s.d.SkipValue()
		}
	})
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "", nil, io.ErrUnexpectedEOF // who reads watches compares errors
	case err != nil:
		return "", nil, err
	}
	var object runtime.Object
	switch watch.EventType(event) {
	case watch.Added, watch.Modified, watch.Deleted:
		object, err = e.by.decode(content, e.kind)
	case watch.Bookmark:
		mark := &metav1.PartialObjectMetadata{}
		object, err = mark, json.Unmarshal(content, mark)
	case watch.Error:
		status := &metav1.Status{}
		object, err = status, json.Unmarshal(content, status)
	default:
		err = fmt.Errorf("an event of %s has the type %q", e.kind.Kind, event)
	}
	if err != nil {
		return "", nil, err
	}
	return watch.EventType(event), object, nil
}

// Close implements watch.Decoder.
func (e *events) Close() { _ = e.body.Close() }

// childList is an answer to a list.
type childList struct {
	metav1.TypeMeta
	metav1.ListMeta
	// Items are children. A pager makes lists of several, and goes by the type.
	Items []runtime.Object
}

// DeepCopyObject implements runtime.Object. Nobody changes what is in it.
func (l *childList) DeepCopyObject() runtime.Object { return l }

func (g grouping) decodeList(content []byte, kind schema.GroupVersionKind) (*childList, error) {
	var list struct {
		Metadata metav1.ListMeta   `json:"metadata"`
		Items    []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(content, &list); err != nil {
		return nil, fmt.Errorf("decoding a list of %s: %w", kind.Kind, err)
	}
	decoded := &childList{ListMeta: list.Metadata, Items: make([]runtime.Object, 0, len(list.Items))}
	for _, item := range list.Items {
		kept, err := g.decode(item, kind)
		if err != nil {
			return nil, err
		}
		decoded.Items = append(decoded.Items, kept)
	}
	return decoded, nil
}
