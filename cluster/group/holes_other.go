//go:build !linux

package group

// fillHoles would set space aside.
func fillHoles(string) error { return nil }
