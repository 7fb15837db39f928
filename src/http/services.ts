import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { AppServices } from '../services.ts'
import type { Connections } from './connections.ts'
import type { Links } from './links.ts'
import type { Page } from './page.ts'
import type { createTransferLimits } from './transfer-limits.ts'

/** What routes take what they need from: the rules, and what only a server has. */
export interface HttpServices extends AppServices, ReturnType<typeof createTransferLimits> {
  readonly connections: Connections
  readonly links: Links
  readonly page: Page | undefined
}

export type Routes = FastifyPluginAsyncTypebox<HttpServices>
