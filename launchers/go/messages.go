package main

// message is one line of test/conformance/messages.json; a test holds the table to that file.
type message struct {
	code string
	exit int
	text string
	hint string
}

var messages = [...]message{
	{"NO_PACKAGE", 102, "no package is attached to this launcher", "Make one with `sealift pack`."},
	{"PSPF_TRAILER", 102, "{file}: the last 8,200 bytes are not a PSPF trailer", "The file is truncated or something was appended to it; copy it again in binary mode."},
	{"PSPF_VERSION", 102, "{file}: format version {actual} is not 0x20250001", "This launcher reads PSPF/2025 only."},
	{"PSPF_CHECKSUM", 102, "{file}: the index checksum does not match", "The file was damaged; copy it again and compare its SHA-256."},
	{"PSPF_SIZE", 102, "{file}: the index says {expected} bytes, the file has {actual}", "The file is truncated or something was appended to it; copy it again in binary mode."},
	{"PSPF_REGION", 102, "{file}: {field} lies outside the file or overlaps another region", "The file was damaged or is not a valid package."},
	{"PSPF_METADATA", 102, "{file}: the metadata cannot be read: {detail}", "The file was damaged or is not a valid package."},
	{"PSPF_FIELD", 102, "{file}: metadata field {field}: {detail}", "The package is not valid; ask its publisher for a new one."},
	{"PSPF_OPERATION", 102, "{file}: slot {slot}: operation {detail} is not supported", "The package needs a newer launcher."},
	{"PSPF_SEAL_VERSION", 102, "{file}: seal version {actual} is not supported", "The package needs a newer launcher."},
	{"SEAL_METADATA", 107, "{file}: the metadata does not match its SHA-256", "The file was damaged or changed after it was sealed."},
	{"SEAL_UNSIGNED", 107, "{file}: the package is not signed", "Only signed packages run; ask its publisher for a signed one."},
	{"SEAL_SIGNATURE", 107, "{file}: the signature does not match the metadata", "The file was damaged or changed after it was sealed."},
	{"SEAL_KEY", 107, "{file}: the public key is not a valid Ed25519 key", "The file was damaged or forged."},
	{"SEAL_INDEX", 107, "{file}: the index block differs from what the signed metadata says at offset {offset}", "The file was damaged or changed after it was sealed."},
	{"SEAL_TABLE", 107, "{file}: slot {slot}: table field {field} differs from the signed metadata", "The file was damaged or changed after it was sealed."},
	{"SEAL_PADDING", 107, "{file}: the padding at offset {offset} is not zero", "The file was damaged or changed after it was sealed."},
	{"SEAL_LAUNCHER", 107, "{file}: the launcher does not match its signed SHA-256", "The file was damaged or changed after it was sealed."},
	{"SEAL_SLOT", 107, "{file}: slot {slot}: the stored bytes do not match their SHA-256", "The file was damaged or changed after it was sealed."},
	{"TRUST_UNKNOWN", 107, "{file}: the signing key {key} is not in the trust store {store}", "If you trust this publisher, add the key there with `sealift trust add`."},
	{"TRUST_REVOKED", 107, "{file}: the signing key {key} was revoked in the trust store {store}", "Do not run this package; ask its publisher for one with a valid key."},
	{"TRUST_PIN", 107, "{file}: {name} is pinned to other keys than {key} in the trust store {store}", "Ask the publisher whether the key changed, then update `pins`."},
	{"TRUST_STORE", 107, "the trust store {store} cannot be used: {detail}", "Repair it or point SEALIFT_TRUST_DIR at another folder."},
	{"VALIDATION_LEVEL", 105, "SEALIFT_VALIDATION={actual} is not a level", "Use strict or relaxed."},
	{"ENTRY_UNKNOWN", 105, "there is no entry {name}", "SEALIFT_ENTRY may be one of: {list}"},
	{"CLI_COMMAND", 105, "there is no launcher command {name}", "Commands: info, verify, metadata, slots, slot, extract, workenv, run, help."},
	{"CLI_ARGUMENT", 105, "{name}: {detail}", "Run it with the command `help`."},
	{"SLOT_UNKNOWN", 105, "there is no slot {name}", "Slots: {list}"},
	{"SLOT_ABSENT", 104, "slot {slot} is not part of this system ({detail})", "The command needs a slot that is packed for another platform or mode."},
	{"CACHE_UNSET", 106, "there is no folder for the work environment: HOME is not set", "Set SEALIFT_CACHE to a folder that you own."},
	{"CACHE_RELATIVE", 106, "{name}={actual} is not an absolute path", "Set it to an absolute path."},
	{"CACHE_OWNER", 106, "{path} belongs to another user", "Set SEALIFT_CACHE to a folder that you own."},
	{"CACHE_WRITABLE", 106, "{path} can be written by other users", "Run `chmod go-w` on it, or set SEALIFT_CACHE to a folder that only you can write."},
	{"CACHE_LINK", 106, "{path} is a symbolic link that other users can replace", "Set SEALIFT_CACHE to a folder that only you can write."},
	{"CACHE_CREATE", 106, "{path} cannot be created: {detail}", "Set SEALIFT_CACHE to a folder that you can write."},
	{"CACHE_NOEXEC", 106, "{path} is on a file system mounted noexec: programs cannot run from it", "Set SEALIFT_CACHE to a folder on a file system that allows execution."},
	{"DISK_FULL", 106, "{path} needs {needed} bytes and {available} are free", "Free some space, or set SEALIFT_CACHE to a folder on another disk."},
	{"IO", 106, "{path}: {detail}", "Check the file system and its permissions."},
	{"UNPACK", 103, "slot {slot}: {detail}", "The package is not valid; ask its publisher for a new one."},
	{"UNPACK_PATH", 103, "slot {slot}: {path}: {detail}", "The package is not valid; ask its publisher for a new one."},
	{"UNPACK_SIZE", 103, "slot {slot}: it expands to more than its signed {expected} bytes", "The package is not valid; ask its publisher for a new one."},
	{"KEY_MISSING", 105, "slot {slot} is encrypted and its key ({source}) is missing: {detail}", "Give the key and start again: env: is a variable, file: a file, prompt a question on the terminal."},
	{"KEY_WRONG", 103, "slot {slot} is encrypted and its key ({source}) is not the right one", "The file is not damaged; ask its publisher for the key of this slot."},
	{"SETUP_FAILED", 104, "setup command {name} failed with exit code {actual}", "Its last lines stand above; nothing was kept, so the next start tries again."},
	{"SETUP_TYPE", 102, "setup command {name}: type {actual} is not supported", "Use execute, enumerate_and_execute, write_file or chmod."},
	{"COMMAND_EMPTY", 102, "the package names no command to run", "Ask its publisher for a new one."},
	{"COMMAND_WORDS", 102, "the command cannot be split: {detail}", "Quotes and backslashes follow POSIX shell rules."},
	{"PLACEHOLDER", 104, "{placeholder} names no slot of this package", "Slots: {list}"},
	{"EXEC_FAILED", 104, "{path} cannot be started: {detail}", "Check that it exists, is executable and fits this system."},
	{"INTERNAL", 101, "the launcher failed: {detail}", "Please report this with the output of SEALIFT_LOG=debug."},
	{"WAITING", 0, "another process is preparing {name}; waiting", ""},
	{"REPAIR", 0, "the work environment {path} was changed and is made anew", ""},
}
