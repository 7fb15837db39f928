import { keepShared } from '../shared-files.ts'

/** The field of the form, as in the manifest. */
const FIELD = 'files'

/** Answers the requests with which the system opens the installed page to share files with it. */
export function takeShares (worker: ServiceWorkerGlobalScope): void {
  const { scope } = worker.registration
  worker.addEventListener('fetch', event => {
    const { request } = event
    const isShare = request.method === 'POST' && request.mode === 'navigate' && request.url === `${scope}share`
    if (isShare) event.respondWith(take(request, scope))
  })
}

/** Stores the files, and opens the page, which asks before it uploads them: any site can send such a form. */
async function take (request: Request, scope: string): Promise<Response> {
  const files = (await request.formData()).getAll(FIELD).filter(value => value instanceof File)
  await keepShared(scope, files)
  return Response.redirect(scope, 303)
}
