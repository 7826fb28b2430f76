//go:build faults

package main

import "os"

// faultPoint kills a test build at the point that SEALIFT_FAULT names, as `kill -9` would.
func faultPoint(name string) {
	if os.Getenv("SEALIFT_FAULT") == name {
		if self, err := os.FindProcess(os.Getpid()); err == nil {
			_ = self.Kill()
		}
		select {}
	}
}
