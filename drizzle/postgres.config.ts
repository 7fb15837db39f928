import { defineConfig } from 'drizzle-kit'

export default defineConfig({
  dialect: 'postgresql',
  schema: './src/metadata/postgres/schema.ts',
  out: './drizzle/postgres'
})
