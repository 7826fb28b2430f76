package main

import "syscall"

func modified(stat *syscall.Stat_t) int64 { return stat.Mtimespec.Sec*1e9 + stat.Mtimespec.Nsec }

// endWithParent: this system cannot; the program's lock tells that it was left behind.
func endWithParent(*syscall.SysProcAttr) {}
