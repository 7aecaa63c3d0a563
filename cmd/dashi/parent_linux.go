package main

import "syscall"

// endWithParent ends the nodes of a trial whose own process was killed: nobody else would.
var endWithParent = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
