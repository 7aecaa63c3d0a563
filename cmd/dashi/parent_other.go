//go:build !linux

package main

import "syscall"

// endWithParent does nothing: only Linux tells a process that its parent has ended.
var endWithParent *syscall.SysProcAttr
