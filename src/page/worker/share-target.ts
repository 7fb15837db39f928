import { keepShared } from '../shared-files.ts'

/** The field of the form, as in the manifest. */
const FIELD = 'files'

/** Answers the requests with which the system opens the installed page to share files with it. */
export function takeShares (worker: ServiceWorkerGlobalScope): void {
  const { scope } = worker.registration
  worker.addEventListener('fetch', event => {
    const { request } = event
    if (request.method === 'POST' && request.mode === 'navigate' && request.url === `${scope}share`) event.respondWith(take(request, scope))
  })
}

/**
 * The page asks whether the files are to be uploaded: any site can send such a form, and it is not known here which one
 * did.
 */
async function take (request: Request, scope: string): Promise<Response> {
  const files = (await request.formData()).getAll(FIELD).filter(value => value instanceof File)
  await keepShared(scope, files)
  return Response.redirect(scope, 303)
}
