package main

import "syscall"

// childAttributes keep an interrupt typed at the terminal from the operator, which is stopped in order, and end it when
// this process is killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
}
