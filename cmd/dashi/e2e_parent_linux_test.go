package main_test

import "syscall"

// dieWithParent ends the processes of a test that was itself killed: nobody else would.
var dieWithParent = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
