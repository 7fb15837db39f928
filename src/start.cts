#!/usr/bin/env node
// The pool of threads has the size that is set when it is first used, and the loader of ES modules uses it: only a script
// that is none comes before that. Threads that wait for the disk cost nothing, and one sync of its journal serves all that
// arrive together: with six instead of four, small uploads are four times as fast. But each that has hashed a password keeps
// those 19 MiB.
process.env.UV_THREADPOOL_SIZE ??= '6'
void import('./main.ts')
