import { bearer, changed, fileIn, fresh, namesOf, request, withFile, type Operation, type Target, type User, type UserState } from './user.ts'

/** Maximum number of folders, so that each is used soon. */
const MAX_FOLDERS = 5

/** The operations on folders that a user may do next, each with its weight. */
export function folderOperations (
  user: User, state: UserState, session: string
): [weight: number, make: () => Operation][] {
  const folders = namesOf(state, 'folder ')
  const empty = folders.filter(path => below(state, path).length === 0)
  const deletions = new Set(namesOf(state, 'trash ').flatMap(name => user.deletions.get(name) ?? []))
  const target = (name: string): Target => ({ session, name })
  const restore = (deletion: string): [number, () => Operation] =>
    [1, () => restoreDeletion(user, state, { session, deletion })]
  return [
    [folders.length < MAX_FOLDERS ? 1 : 0, () => make(user, state, session)],
    [folders.length > 0 ? 3 : 0, () => move(user, state, target(user.random.pick(folders)))],
    [empty.length > 0 ? 0.5 : 0, () => remove(user, state, target(user.random.pick(empty)))],
    [folders.length > 0 ? 2 : 0, () => removeTree(user, state, target(user.random.pick(folders)))],
    ...Array.from(deletions, restore)
  ]
}

/** A new name in the root, in a folder, or in one that is made with it. */
export function newName (user: User, state: UserState): string {
  const folders = namesOf(state, 'folder ')
  const parent = user.random.pick(['', '', folders.length < MAX_FOLDERS ? fresh(user) : '', ...folders])
  return parent === '' ? fresh(user) : `${parent}/${fresh(user)}`
}

/** The state with the parents of a name. */
export function withParents (state: UserState, name: string): UserState {
  const segments = name.split('/')
  const parents = segments.slice(1).map((_, index) => segments.slice(0, index + 1).join('/'))
  return changed(state, Object.fromEntries(parents.map(path => [`folder ${path}`, 'there'])))
}

/** The keys of what is in a folder. */
function below (state: UserState, path: string): string[] {
  return Array.from(state.keys()).filter(key => /^(?:file|version|folder) /.test(key) && key.split(' ')[1]?.startsWith(`${path}/`))
}

const pathOf = (url: string, name: string) => `${url}/api/folders/${encodeURIComponent(name)}`

function make (user: User, state: UserState, session: string): Operation {
  const path = newName(user, state)
  return {
    what: `make the folder ${path}`,
    after: changed(withParents(state, path), { [`folder ${path}`]: 'there' }),
    send: url => request(pathOf(url, path), 'PUT', { credential: bearer(user, session) })
  }
}

function move (user: User, state: UserState, { session, name }: Target): Operation {
  const isFree = (path: string) => path !== name && !path.startsWith(`${name}/`)
  const others = new Map(Array.from(state).filter(([key]) => !key.startsWith('folder ') || isFree(key.slice('folder '.length))))
  const to = newName(user, others)
  const moved = new Set([`folder ${name}`, ...below(state, name)])
  const keyAfter = (key: string) => moved.has(key) ? key.replace(` ${name}`, ` ${to}`) : key
  const after = new Map(Array.from(state).map(([key, value]) => [keyAfter(key), value]))
  return {
    what: `move the folder ${name} to ${to}`,
    after: withParents(after, to),
    send: url => request(pathOf(url, name), 'PATCH', { credential: bearer(user, session), json: { name: to } })
  }
}

function remove (user: User, state: UserState, { session, name }: Target): Operation {
  return {
    what: `delete the empty folder ${name}`,
    after: changed(state, { [`folder ${name}`]: undefined }),
    send: url => request(pathOf(url, name), 'DELETE', { credential: bearer(user, session) })
  }
}

/** Two acts: the files, and then the folders. */
function removeTree (user: User, state: UserState, { session, name }: Target): Operation {
  const isPermanent = user.random.chance(0.2)
  const files = namesOf(state, 'file ').filter(file => file.startsWith(`${name}/`))
  const deletion = fresh(user)
  let withoutFiles = state
  for (const file of files) {
    const { content, versions } = fileIn(state, file)
    user.buried.set(file, versions)
    user.deletions.set(file, deletion)
    withoutFiles = changed(withFile(withoutFiles, file), isPermanent ? {} : { [`trash ${file}`]: `${content} ${versions.length}` })
  }
  const folders = [`folder ${name}`, ...below(withoutFiles, name)]
  return {
    what: `delete the folder ${name} with ${files.length} files`,
    between: [withoutFiles],
    after: changed(withoutFiles, Object.fromEntries(folders.map(key => [key, undefined]))),
    send: url => request(`${pathOf(url, name)}?recursive=true${isPermanent ? '&permanent=true' : ''}`, 'DELETE', { credential: bearer(user, session) })
  }
}

function restoreDeletion (
  user: User, state: UserState, { session, deletion }: { session: string, deletion: string }
): Operation {
  const names = namesOf(state, 'trash ').filter(name => user.deletions.get(name) === deletion)
  const credential = bearer(user, session)
  let after = state
  for (const name of names) {
    const [content = ''] = String(state.get(`trash ${name}`)).split(' ')
    const restored = withFile(after, name, { content, versions: user.buried.get(name) ?? [] })
    after = withParents(changed(restored, { [`trash ${name}`]: undefined }), name)
  }
  return {
    what: `restore ${names.length} files that were deleted with their folder`,
    after,
    async send (url) {
      const { bytes } = await request(`${url}/api/trash?limit=1000`, 'GET', { credential })
      const { files } = JSON.parse(bytes.toString()) as { files: { name: string, deletedWith: string }[] }
      const deletedWith = files.find(({ name }) => name === names[0])?.deletedWith
      return request(`${url}/api/trash/restore`, 'POST', { credential, json: { deletedWith } })
    },
    onResponse ({ bytes }) {
      const { kept } = JSON.parse(bytes.toString())
      if (kept.length > 0) throw new Error(`not all was restored: ${JSON.stringify(kept)}`)
    }
  }
}
