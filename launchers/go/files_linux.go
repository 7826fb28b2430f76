package main

import "syscall"

func modified(stat *syscall.Stat_t) int64 { return stat.Mtim.Sec*1e9 + stat.Mtim.Nsec }

// endWithParent: the program is asked to end when its supervisor is killed.
func endWithParent(attributes *syscall.SysProcAttr) { attributes.Pdeathsig = syscall.SIGTERM }
