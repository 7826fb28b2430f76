package main

import (
	"strconv"
	"strings"
)

// Levels of SEALIFT_LOG. Errors and warnings of the contract are printed at every level.
const (
	levelError = iota
	levelWarn
	levelInfo
	levelDebug
)

var (
	logLevel = levelError
	logJSON  = false
)

var levelNames = [...]string{"error", "warn", "info", "debug"}

// configureLog reads SEALIFT_LOG; an unknown level leaves the default, because a log setting must not stop a program.
func configureLog(value string) {
	logJSON, logLevel = false, levelError
	if value == "json" || strings.HasPrefix(value, "json:") {
		logJSON, logLevel = true, levelInfo
		value = strings.TrimPrefix(strings.TrimPrefix(value, "json"), ":")
	}
	for level, name := range levelNames {
		if value == name {
			logLevel = level
		}
	}
}

// logf prints one line of words and values; callers never pass values of environment variables.
func logf(level int, text string, pairs ...string) {
	if level > logLevel {
		return
	}
	if logJSON {
		w := newWriter()
		w.open('{').text("level", levelNames[level]).text("message", text)
		for i := 0; i+1 < len(pairs); i += 2 {
			w.text(pairs[i], pairs[i+1])
		}
		w.close('}')
		printErr(w.String() + "\n")
		return
	}
	var line strings.Builder
	line.WriteString("sealift: " + levelNames[level] + ": " + text)
	for i := 0; i+1 < len(pairs); i += 2 {
		line.WriteString(" " + pairs[i] + "=" + printable(pairs[i+1]))
	}
	printErr(line.String() + "\n")
}

func debugf(text string, pairs ...string) { logf(levelDebug, text, pairs...) }

func itoa[T int | int64 | uint64 | uint32](n T) string {
	if n < 0 {
		return strconv.FormatInt(int64(n), 10)
	}
	return strconv.FormatUint(uint64(n), 10)
}
