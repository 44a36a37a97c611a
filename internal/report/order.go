package report

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"touchstone.dev/touchstone"
)

// inOrder returns a copy of the check whose lists are in a stable order and
// never null. The check itself is left alone: others may be rendering it.
func inOrder(c *touchstone.Check) *touchstone.Check {
	out := withLists(c)
	slices.SortStableFunc(out.Matches, func(a, b touchstone.Match) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Package.PURL, b.Package.PURL), cmp.Compare(a.Package.Path, b.Package.Path))
	})
	slices.SortStableFunc(out.Packages, func(a, b touchstone.Package) int {
		return cmp.Or(cmp.Compare(a.Ecosystem, b.Ecosystem), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Path, b.Path))
	})
	slices.SortStableFunc(out.Upgrades, func(a, b touchstone.Upgrade) int {
		return cmp.Or(cmp.Compare(len(b.Clears), len(a.Clears)), cmp.Compare(a.Package, b.Package), cmp.Compare(a.Path, b.Path), cmp.Compare(a.To, b.To))
	})
	return out
}

// withLists copies v deeply and makes an empty list of each nil one, except
// where its tag leaves it out when it is empty.
func withLists[T any](v *T) *T {
	out := reflect.New(reflect.TypeFor[T]()).Elem()
	out.Set(reflect.ValueOf(v).Elem())
	complete(out, false)
	return out.Addr().Interface().(*T)
}

// complete works on a settable value of which the parent is already a copy.
func complete(v reflect.Value, omitted bool) {
	switch v.Kind() {
	case reflect.Struct:
		t := v.Type()
		for i := range t.NumField() {
			if t.Field(i).IsExported() {
				complete(v.Field(i), strings.Contains(t.Field(i).Tag.Get("json"), ",omitempty"))
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			fresh := reflect.New(v.Type().Elem())
			fresh.Elem().Set(v.Elem())
			complete(fresh.Elem(), false)
			v.Set(fresh)
		}
	case reflect.Slice:
		if v.IsNil() {
			if !omitted {
				v.Set(reflect.MakeSlice(v.Type(), 0, 0))
			}
			return
		}
		fresh := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(fresh, v)
		v.Set(fresh)
		for i := range fresh.Len() {
			complete(fresh.Index(i), false)
		}
	default: // a value, or a map of strings: nothing to fill
	}
}
