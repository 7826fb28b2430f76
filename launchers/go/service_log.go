package main

import "os"

// A log of this size becomes log.1, in place of an earlier one.
const fullLog = 10 << 20

// ServiceLog is the log of a service in the background: what its programs and its supervisor say, with a bound. The programs
// write into a pipe, so that the log can be changed under them.
type ServiceLog struct {
	standing *Standing
	reader   *os.File
	writer   *os.File
	size     int64
	moved    chan struct{} // closed when all was copied
}

// openServiceLog makes the log this process's output.
func openServiceLog(standing *Standing) (*ServiceLog, error) {
	log := &ServiceLog{standing: standing, moved: make(chan struct{})}
	err := log.useFile()
	if err == nil {
		log.reader, log.writer, err = os.Pipe()
	}
	if err != nil {
		return nil, failIO(standing.path("log"), err)
	}
	go log.copy()
	return log, nil
}

func (l *ServiceLog) useFile() error {
	file, err := l.standing.open("log")
	if err != nil {
		return err
	}
	l.size = 0
	if info, err := file.Stat(); err == nil {
		l.size = info.Size()
	}
	// The first one belongs to the process as a whole and stays open.
	if old := os.Stderr; old.Name() == file.Name() {
		defer old.Close()
	}
	os.Stdout, os.Stderr = file, file
	return nil
}

// copy moves what programs write to the log. A full disk loses output, and never stops a program.
func (l *ServiceLog) copy() {
	defer close(l.moved)
	buffer := make([]byte, 16<<10)
	for {
		count, err := l.reader.Read(buffer)
		l.size += int64(count)
		if l.size > fullLog {
			_ = replaceFile(l.standing.path("log"), l.standing.path("log.1"))
			_ = l.useFile()
			l.size = int64(count)
		}
		_, _ = os.Stderr.Write(buffer[:count])
		if err != nil {
			return
		}
	}
}
