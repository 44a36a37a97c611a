package rules

import (
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// decode fills a value of the root package from a node, by the JSON names of its
// fields. Whatever does not fit is a fault at its place.
func (r *reader) decode(n *node, into reflect.Value, what string) {
	if into.Type() == reflect.TypeFor[time.Time]() {
		t, _, _ := r.day(n, what)
		into.Set(reflect.ValueOf(t))
		return
	}
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		r.decode(n, into.Elem(), what)
	case reflect.Struct:
		r.decodeStruct(n, into, what)
	case reflect.Slice:
		r.decodeList(n, into, what)
	case reflect.Map:
		r.decodeMap(n, into, what)
	default:
		r.decodeWord(n, into, what)
	}
}

func (r *reader) decodeStruct(n *node, into reflect.Value, what string) {
	fields := fieldsOf(into.Type())
	if !r.keys(n, sortedKeys(fields), what) {
		return
	}
	for _, e := range n.entries {
		if i, ok := fields[e.key.text]; ok {
			r.decode(e.value, into.Field(i), e.key.text)
		}
	}
}

// fieldsOf returns the index of each field by its JSON name.
func fieldsOf(t reflect.Type) map[string]int {
	out := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" {
			out[name] = i
		}
	}
	return out
}

func (r *reader) decodeList(n *node, into reflect.Value, what string) {
	items := n.items
	switch n.kind {
	case kindList:
	case kindScalar:
		items = []*node{n}
	default:
		r.fault(n, what+" must be a list, not "+n.kind.String(), "")
		return
	}
	list := reflect.MakeSlice(into.Type(), len(items), len(items))
	for i, item := range items {
		r.decode(item, list.Index(i), "an entry of "+what)
	}
	into.Set(list)
}

func (r *reader) decodeMap(n *node, into reflect.Value, what string) {
	if n.kind != kindTable {
		r.fault(n, what+" must be a table, not "+n.kind.String(), "")
		return
	}
	r.twice(n)
	out := reflect.MakeMap(into.Type())
	for _, e := range n.entries {
		v := reflect.New(into.Type().Elem()).Elem()
		r.decode(e.value, v, e.key.text)
		out.SetMapIndex(reflect.ValueOf(e.key.text).Convert(into.Type().Key()), v)
	}
	into.Set(out)
}

func (r *reader) decodeWord(n *node, into reflect.Value, what string) {
	if n.kind != kindScalar {
		r.fault(n, what+" must be one word, not "+n.kind.String(), "")
		return
	}
	var err error
	switch into.Kind() {
	case reflect.String:
		into.SetString(n.text)
	case reflect.Bool:
		into.SetBool(n.text == "true")
		if !slices.Contains([]string{"true", "false"}, n.text) {
			r.fault(n, what+" is true or false, not "+quote(n.text), "")
		}
	case reflect.Int, reflect.Int64:
		var i int64
		i, err = strconv.ParseInt(n.text, 10, 64)
		into.SetInt(i)
	case reflect.Uint32:
		var u uint64
		u, err = strconv.ParseUint(n.text, 10, 32)
		into.SetUint(u)
	case reflect.Float64:
		var f float64
		f, err = strconv.ParseFloat(n.text, 64)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			err = strconv.ErrRange
		}
		into.SetFloat(f)
	default:
		r.fault(n, what+" cannot be given here", "")
	}
	if err != nil {
		r.fault(n, what+" must be a number, not "+quote(n.text), "")
	}
}
