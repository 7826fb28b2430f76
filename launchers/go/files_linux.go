package main

import "syscall"

func modified(stat *syscall.Stat_t) int64 { return stat.Mtim.Sec*1e9 + stat.Mtim.Nsec }
