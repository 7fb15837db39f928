/**
 * npm run bench: one server on its default engines. npm run bench -- --scale: servers on PostgreSQL and S3.
 * npm run bench -- --page: many small files through the page.
 */
const benches = { '--scale': './scale/scale.ts', '--page': './page-uploads.ts' }
await import(Object.entries(benches).find(([name]) => process.argv.includes(name))?.[1] ?? './bench.ts')

export {}
