// A program for Windows that tells what it was started with, for the tests of packages that run under wine.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"time"
)

func main() {
	command, args := "", []string(nil)
	if len(os.Args) > 1 {
		command, args = os.Args[1], os.Args[2:]
	}
	switch command {
	case "args":
		for _, arg := range args {
			fmt.Printf("[%s]", arg)
		}
	case "exit":
		code, _ := strconv.ParseUint(args[0], 0, 32)
		os.Exit(int(code))
	case "cat":
		_, _ = io.Copy(os.Stdout, os.Stdin)
	case "env":
		for _, name := range args {
			value, set := os.LookupEnv(name)
			fmt.Printf("%s=%s %t\n", name, value, set)
		}
	case "read":
		for _, path := range args {
			data, err := os.ReadFile(path)
			fmt.Printf("%s %v\n", data, err)
		}
	case "write":
		check(os.WriteFile(args[0], []byte(args[1]), 0o644))
	case "sleep":
		sleep(args[0])
		if len(args) > 1 {
			check(os.WriteFile(args[1], nil, 0o644))
		}
	case "background": // starts itself with the other arguments and ends first
		check(exec.Command(os.Args[0], args...).Start())
	case "code": // the 32 bits that a program ends with
		child := exec.Command(args[0], args[1:]...)
		_ = child.Run()
		fmt.Println(uint32(child.ProcessState.ExitCode()))
	case "kill": // ends a program after a while, and it alone
		child := exec.Command(args[1], args[2:]...)
		check(child.Start())
		sleep(args[0])
		check(child.Process.Kill())
	case "serve": // until it is told to end
		listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
		check(err)
		fmt.Println("up", args)
		told := make(chan os.Signal, 1)
		signal.Notify(told, os.Interrupt)
		<-told
		listener.Close()
		fmt.Println("told to end")
	case "rename": // the package that runs
		self := os.Getenv("SEALIFT_SELF")
		check(os.Rename(self, self+".old"))
		check(os.Rename(self+".old", self))
		fmt.Print("renamed")
	default: // as a shutdown slot, which gets no arguments
		fmt.Print("after ", os.Getenv("SEALIFT_EXIT_CODE"))
	}
}

func sleep(milliseconds string) {
	n, _ := strconv.Atoi(milliseconds)
	time.Sleep(time.Duration(n) * time.Millisecond)
}

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(90)
	}
}
