/** npm run bench: one server on its default engines. npm run bench -- --scale: servers on PostgreSQL and S3. */
await import(process.argv.includes('--scale') ? './scale/scale.ts' : './bench.ts')

export {}
