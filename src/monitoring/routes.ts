import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { LIVENESS_PATH } from '../http/protection.ts'
import { answer, problems } from '../openapi/responses.ts'
import { Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'
import { createHealth } from './health.ts'
import type { Outages } from './outages.ts'
import { Liveness, Readiness } from './schemas.ts'

/** Failures of this kind rarely end within a second. */
const RETRY_SECONDS = 5

/** Liveness and readiness, for supervisors and load balancers. */
export const healthRoutes: FastifyPluginAsyncTypebox<AppServices & { outages: Outages }> = async (app, services) => {
  const health = createHealth(services, services.outages)

  app.get(LIVENESS_PATH, {
    schema: {
      operationId: 'getLiveness',
      summary: 'Check liveness',
      description: 'Returns 200 as long as the process responds, also under overload. It uses neither database nor ' +
        'disk. If it fails repeatedly, restart the process. It counts against the rate limit of the client ' +
        'address, like every request.',
      curl: 'curl -f http://127.0.0.1:5000/health/live',
      response: { 200: answer(Liveness, 'The process responds.') }
    }
  }, async () => ({ status: 'alive' as const }))

  app.get('/health/ready', {
    schema: {
      operationId: 'getReadiness',
      summary: 'Check readiness',
      description: 'Checks the database by a commit, and the disk or the bucket by a write, at most once a second. ' +
        '503 means: send no requests for now, because the server is stopping or overloaded, or can\'t use its ' +
        'database, disk or bucket. A full disk is not a reason for 503, because stored files can still be read and ' +
        'deleted. During start-up connections are refused.',
      curl: 'curl -f http://127.0.0.1:5000/health/ready',
      response: { 200: answer(Readiness, 'The server can process requests.'), ...problems(['not_ready']) }
    }
  }, async () => {
    const conditions = await health.check()
    const { database, disk, bucket } = conditions
    const failing = Object.entries(conditions).filter(([, condition]) => condition === 'failing').map(([name]) => name)
    if (database === 'failing' || disk === 'failing' || bucket === 'failing') throw notReady(failing)
    const backup = await health.findBackup()
    return {
      status: 'ready' as const, database, disk, ...(bucket && { bucket: 'ok' as const }), ...(backup && { backup })
    }
  })
}

/** Names the failing checks; the causes are only in the log. */
function notReady (failing: readonly string[]): Problem {
  return new Problem('not_ready', { detail: `Failing: ${failing.join(', ')}.`, retrySeconds: RETRY_SECONDS })
}
