package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	problems "github.com/pb33f/libopenapi-validator/errors"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	"github.com/pb33f/libopenapi/datamodel/high/base"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
)

const file = "../../../core/rest/openapi.json"

// document is the OpenAPI document, ready to validate.
type document struct {
	model     v3.Document
	validator validator.Validator
	schemas   schema_validation.SchemaValidator
	// seen are the answers that were compared, such as "getLock 200".
	seen map[string]bool
}

func read(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func parse(t *testing.T, text []byte) *document {
	t.Helper()
	parsed, err := libopenapi.NewDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	model, err := parsed.BuildV3Model()
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(parsed)
	if len(errs) > 0 {
		t.Fatal(errors.Join(errs...))
	}
	return &document{model.Model, v, schema_validation.NewSchemaValidator(), make(map[string]bool)}
}

func TestDocumentIsValid(t *testing.T) {
	t.Parallel()
	d := parse(t, read(t))
	if ok, errs := d.validator.ValidateDocument(); !ok {
		t.Error(explain(errs))
	}
	examples := 0
	for name, response := range d.model.Components.Responses.FromOldest() {
		for _, media := range response.Content.FromOldest() {
			examples++
			if err := d.example(media); err != nil {
				t.Errorf("the example of response %s: %v", name, err)
			}
		}
	}
	if examples < 10 {
		t.Errorf("only %d examples were found", examples)
	}
}

func (d *document) example(media *v3.MediaType) error {
	if media.Example == nil {
		return errors.New("there is none")
	}
	var example any
	if err := media.Example.Decode(&example); err != nil {
		return err
	}
	text, err := json.Marshal(example)
	if err != nil {
		return err
	}
	return d.body(media.Schema.Schema(), text, false)
}

// body compares a body with its schema; ordered also its keys with their order there.
func (d *document) body(schema *base.Schema, text []byte, ordered bool) error {
	if ok, errs := d.schemas.ValidateSchemaString(schema, string(text)); !ok {
		return errors.New(explain(errs))
	}
	if !ordered {
		return nil
	}
	return order(schema, text)
}

// order compares the keys of an object, and of the objects in it and in its lists, with the order of the schema's
// properties, of which only those that are not required may be missing.
func order(schema *base.Schema, text []byte) error {
	if string(text) == "null" {
		return nil
	}
	got, values, err := members(text)
	if err != nil {
		return err
	}
	want := slices.DeleteFunc(slices.Collect(schema.Properties.KeysFromOldest()), func(key string) bool {
		return !slices.Contains(schema.Required, key) && !slices.Contains(got, key)
	})
	if !slices.Equal(got, want) {
		return fmt.Errorf("the keys are %q, in the document %q", got, want)
	}
	for name, property := range schema.Properties.FromOldest() {
		value, found := values[name]
		if found && property.Schema().Properties != nil {
			if err := order(property.Schema(), value); err != nil {
				return err
			}
		}
		items := property.Schema().Items
		if items == nil {
			continue
		}
		var list []json.RawMessage
		if err := json.Unmarshal(value, &list); err != nil {
			return err
		}
		for _, item := range list {
			if err := order(items.A.Schema(), item); err != nil {
				return err
			}
		}
	}
	return nil
}

// members returns the keys of a JSON object in their order, and the values.
func members(text []byte) (keys []string, values map[string]json.RawMessage, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if _, err := decoder.Token(); err != nil {
		return nil, nil, err
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, nil, err
		}
		keys = append(keys, fmt.Sprint(key))
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, nil, err
		}
	}
	return keys, values, json.Unmarshal(text, &values)
}

// request compares a request with the document.
func (d *document) request(r *http.Request) error {
	if ok, errs := d.validator.ValidateHttpRequestSync(r); !ok {
		return errors.New(explain(errs))
	}
	return d.query(r)
}

// query compares the lists in a query with the document: the validator looks at the types of their items only.
func (d *document) query(r *http.Request) error {
	operation := d.operation(r)
	if operation == nil {
		return nil
	}
	for _, parameter := range operation.Parameters {
		if parameter.In != "query" {
			continue
		}
		text, err := json.Marshal(r.URL.Query()[parameter.Name])
		if err != nil {
			return err
		}
		if err := d.body(parameter.Schema.Schema(), text, false); err != nil {
			return err
		}
	}
	return nil
}

// response compares an answer with the document.
func (d *document) response(r *http.Request, got *http.Response, body []byte) error {
	got.Body = io.NopCloser(bytes.NewReader(body))
	if len(body) == 0 {
		got.Body = http.NoBody
	}
	name, want, err := d.described(r, got.StatusCode)
	if err != nil {
		return err
	}
	d.seen[name] = true
	if got.StatusCode == http.StatusMethodNotAllowed {
		err = d.body(want.Headers.GetOrZero("Allow").Schema.Schema(), []byte(strconv.Quote(got.Header.Get("Allow"))), false)
	} else if ok, errs := d.validator.ValidateHttpResponse(r, got); !ok {
		err = errors.New(explain(errs))
	}
	return errors.Join(err, d.headers(want, got.Header), d.content(want, got.Header, body))
}

// described returns the answer that the document has for the request, and what it is called in document.seen.
func (d *document) described(r *http.Request, status int) (string, *v3.Response, error) {
	if status == http.StatusMethodNotAllowed {
		return "405", d.model.Components.Responses.GetOrZero("MethodNotAllowed"), nil
	}
	operation := d.operation(r)
	if operation == nil {
		return "", nil, fmt.Errorf("the document has no %s %s", r.Method, r.URL.Path)
	}
	name := operation.OperationId + " " + strconv.Itoa(status)
	response := operation.Responses.Codes.GetOrZero(strconv.Itoa(status))
	if response == nil {
		return "", nil, fmt.Errorf("the document has no %s", name)
	}
	return name, response, nil
}

// operation returns what the document has for a request, or nil.
func (d *document) operation(r *http.Request) *v3.Operation {
	for path, item := range d.model.Paths.PathItems.FromOldest() {
		if matches(path, r.URL) {
			return item.GetOperations().GetOrZero(strings.ToLower(r.Method))
		}
	}
	return nil
}

// matches reports whether a path of the document is that of a request.
func matches(path string, u *url.URL) bool {
	want, got := strings.Split(path, "/"), strings.Split(u.EscapedPath(), "/")
	return slices.EqualFunc(want, got, func(a, b string) bool { return a == b || a == "{uid}" })
}

// headers demands that an answer has no header but those of the document, and all of these that are required. The
// validator compares their values.
func (d *document) headers(want *v3.Response, got http.Header) error {
	var errs []error
	known := map[string]bool{"Content-Type": true, "Content-Length": true, "Date": true}
	for name, header := range want.Headers.FromOldest() {
		name = http.CanonicalHeaderKey(name)
		known[name] = true
		if n := len(got[name]); n > 1 || n == 0 && header.Required {
			errs = append(errs, fmt.Errorf("header %s is there %d times", name, n))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if !known[name] {
			errs = append(errs, fmt.Errorf("header %s is not in the document", name))
		}
	}
	return errors.Join(errs...)
}

// content compares the body with the document.
func (d *document) content(want *v3.Response, header http.Header, body []byte) error {
	if want.Content == nil {
		if len(body) > 0 {
			return fmt.Errorf("the document has no body, the answer has %s", body)
		}
		return nil
	}
	media := want.Content.GetOrZero("application/json")
	switch {
	case media == nil:
		return errors.New("the document has a body that is no JSON")
	case header.Get("Content-Type") != "application/json":
		return fmt.Errorf("content type %q", header.Get("Content-Type"))
	default:
		return d.body(media.Schema.Schema(), body, true)
	}
}

// missing returns the answers of the document that were not compared.
func (d *document) missing() []string {
	var missing []string
	for _, item := range d.model.Paths.PathItems.FromOldest() {
		for _, operation := range item.GetOperations().FromOldest() {
			for status := range operation.Responses.Codes.FromOldest() {
				if name := operation.OperationId + " " + status; !d.seen[name] {
					missing = append(missing, name)
				}
			}
		}
	}
	return missing
}

func explain(errs []*problems.ValidationError) string {
	var text strings.Builder
	for _, err := range errs {
		fmt.Fprintf(&text, "%s: %s\n", err.Message, err.Reason)
		for _, detail := range err.SchemaValidationErrors {
			fmt.Fprintf(&text, "\t%s: %s\n", detail.FieldPath, detail.Reason)
		}
	}
	return text.String()
}
