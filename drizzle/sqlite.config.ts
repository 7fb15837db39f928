import { defineConfig } from 'drizzle-kit'

export default defineConfig({
  dialect: 'sqlite',
  schema: './src/metadata/sqlite/schema.ts',
  out: './drizzle/sqlite'
})
