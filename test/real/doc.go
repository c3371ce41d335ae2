// Package real tests the platform on a node on which Pods really run: what users do, from the login to a kernel's answer. It needs Linux,
// root and some packages, and says so where it is skipped.
package real
