#!/usr/bin/env node
// The pool of threads has the size that is set when it is first used, and the loader of ES modules uses it: only a script
// that is none comes before that. Most of the threads wait for the disk, where one sync serves all that arrive together.
process.env.UV_THREADPOOL_SIZE ??= '8'
void import('./main.ts')
