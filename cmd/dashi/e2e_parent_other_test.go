//go:build !linux

package main_test

import "syscall"

var dieWithParent *syscall.SysProcAttr
