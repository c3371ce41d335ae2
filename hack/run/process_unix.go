//go:build unix && !linux

package main

import "syscall"

// childAttributes keep an interrupt typed at the terminal from the operator, which is stopped in order.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true}
}
