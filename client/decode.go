package client

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// errReply is returned when a reply has not the shape that was expected: the
// server is no phonond, or of a version that is too different.
var errReply = errors.New("client: unexpected reply")

// decode stores a reply into a struct, slice or scalar. A mapping may be RESP3's
// or RESP2's flat array; its keys are the structs' json names. Keys without a
// field, and fields without a key, are left alone, so that versions may differ.
func decode(dst reflect.Value, src any) error {
	switch dst.Kind() {
	case reflect.Struct:
		return decodeStruct(dst, src)
	case reflect.Slice:
		items, ok := src.([]any)
		if !ok && src != nil {
			return fmt.Errorf("%w: %T instead of an array", errReply, src)
		}
		out := reflect.MakeSlice(dst.Type(), len(items), len(items))
		for i, item := range items {
			if err := decode(out.Index(i), item); err != nil {
				return err
			}
		}
		dst.Set(out)
		return nil
	}
	return decodeScalar(dst, src)
}

func decodeStruct(dst reflect.Value, src any) error {
	fields := map[string]reflect.Value{}
	for i := range dst.NumField() {
		name, _, _ := strings.Cut(dst.Type().Field(i).Tag.Get("json"), ",")
		fields[name] = dst.Field(i)
		if f := dst.Field(i); f.Kind() == reflect.Slice { // as JSON, [] rather than null
			f.Set(reflect.MakeSlice(f.Type(), 0, 0))
		}
	}
	set := func(key, value any) error {
		name, ok := key.(string)
		if !ok {
			return fmt.Errorf("%w: %T for the name of a field", errReply, key)
		}
		f, known := fields[name]
		if !known {
			return nil
		}
		if err := decode(f, value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	switch m := src.(type) {
	case map[any]any:
		for k, v := range m {
			if err := set(k, v); err != nil {
				return err
			}
		}
		return nil
	case []any:
		if len(m)%2 != 0 {
			return fmt.Errorf("%w: %d elements are no pairs", errReply, len(m))
		}
		for i := 0; i < len(m); i += 2 {
			if err := set(m[i], m[i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("%w: %T instead of a mapping", errReply, src)
}

// decodeScalar stores a string, a number or a boolean. RESP2 has no booleans, and
// numbers may be written out.
func decodeScalar(dst reflect.Value, src any) error {
	text := fmt.Sprint(src)
	switch src.(type) {
	case nil:
		return nil
	case string, int64, bool:
	default:
		return fmt.Errorf("%w: %T instead of one value", errReply, src)
	}
	wrong := func() error { return fmt.Errorf("%w: %.40q is no %s", errReply, text, dst.Kind()) }
	switch dst.Kind() {
	case reflect.String:
		dst.SetString(text)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return wrong()
		}
		dst.SetInt(n)
	case reflect.Uint64:
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return wrong()
		}
		dst.SetUint(n)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return wrong()
		}
		dst.SetBool(b)
	default:
		return wrong()
	}
	return nil
}
