package fsm

// What the commands of tables outside this package use: the system group keeps
// its state in strings.

// String returns the string under key; ok is false when there is none.
func (v *View) String(key string) (s string, ok bool) {
	if e := v.find([]byte(key)); e != nil && e.obj == nil {
		return e.str, true
	}
	return "", false
}

// PutString stores a string under key, for ever.
func (t *Tx) PutString(key, s string) { t.setString([]byte(key), s, 0) }
