//go:build !faults

package main

func faultPoint(string) {}
