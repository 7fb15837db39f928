/* eslint no-irregular-whitespace: ['error', { skipTemplates: true }] -- French has a narrow space before : ; ! ? */
import type { Factor, LaterTexts } from './en-later.ts'
import type { Tools } from './tools.ts'

/** What a user signed in with. */
const factorWords: Record<Factor, string> = {
  password: 'mot de passe',
  totp: 'code à usage unique',
  passkey: 'clé d’accès',
  recovery_code: 'code de secours',
  oidc: 'fournisseur d’identité'
}

/** The texts of what is not in the first view of the page of an account, in French. */
export const texts = ({ visible, number, plural, provider }: Tools<'fr'>): LaterTexts => ({
  problems: {
    too_many_connection_codes: 'Trop de codes incorrects',
    folder_into_itself: 'Un dossier ne peut pas aller dans lui-même',
    parent_missing: 'Le dossier n’est plus là',
    folder_not_empty: 'Quelque chose y a été ajouté entre-temps',
    trash_full: 'La corbeille n’a pas assez de place',
    zip_too_large: 'C’est trop pour un seul zip',
    too_many_acts: 'Trop de choses changent en ce moment',
    too_many_waiting: 'Trop de fenêtres sont ouvertes',
    passkey_invalid: 'La clé d’accès ne peut pas être enregistrée',
    passkeys_unavailable: 'Ce serveur ne peut pas avoir de clés d’accès',
    second_factor_missing: 'Le compte n’a pas de second facteur',
    factor_not_pending: 'Cela a pris trop de temps : recommencer',
    sign_in_required: 'Se connecter d’abord chez le fournisseur d’identité',
    too_many_passkeys: 'Le compte a déjà autant de clés d’accès que possible',
    too_many_tokens: 'Le compte a déjà autant de jetons que possible',
    too_many_links: 'Le compte a déjà autant de liens que possible',
    link_address_unknown: 'Le serveur ne connaît plus l’adresse de ce lien',
    cross_site_request: 'La demande est venue d’un autre site'
  },
  problemHints: {
    scopes: 'Choisir ce que le jeton peut faire.',
    expiresAt: 'Le dernier jour est dans l’avenir, mais pas plus tard que le serveur ne le permet.'
  },
  copyByHand: 'Le texte est sélectionné. Le copier avec Ctrl+C ou ⌘C.',
  files: {
    nothingFound: 'Aucun nom de ce dossier ou plus bas ne contient',
    nothingFoundAnywhere: 'Aucun nom ne contient',
    nothingFoundYet: `Aucun des ${number(100_000)} premiers noms ne contient`,
    searchAll: 'Chercher dans tous les noms',
    empty: 'Pas encore de fichiers',
    emptyHint: 'Glisser des fichiers ou des dossiers sur cette page, les coller, ou les choisir avec les boutons ' +
      'ci-dessus.',
    emptyWays: 'Par un lecteur réseau sur l’ordinateur ou depuis le téléphone : comment faire',
    nothingIn: {
      recent: {
        title: 'Rien ici pour l’instant',
        hint: 'Les derniers fichiers modifiés de tous les dossiers apparaissent ici.'
      },
      starred: {
        title: 'Pas encore de favoris',
        hint: 'Choisir « Ajouter aux favoris » dans le menu d’un fichier ou d’un dossier pour le retrouver ici.'
      }
    },
    trashEmptied: 'La corbeille est vide.',
    andOthers: (count: number, isAll: boolean) => isAll
      ? plural(count, { one: 'et # autre', many: 'et # d’autres', other: 'et # autres' })
      : `et plus de ${number(count)} autres`,
    deletedFrom: (content: string, folder: string) =>
      `${content} de ${folder === '' ? 'Fichiers' : visible(folder)}`,
    copyTitle: (name: string) => `Copier ${visible(name)}`,
    copyName: 'Nom de la copie',
    copySubmit: 'Faire la copie',
    noPreview: 'Il n’y a pas d’aperçu pour les fichiers de ce type.',
    noPdfViewer: 'Ce navigateur ne sait pas afficher les PDF. Télécharger le fichier pour le voir.',
    insecure: 'Le navigateur n’affiche ce fichier que par HTTPS. Télécharger le fichier pour le voir.',
    noWorker: 'Le navigateur ne lance pas de service worker ici, et ne peut pas afficher ce fichier sans lui. ' +
      'Télécharger le fichier pour le voir.',
    brokenPreview: 'Le navigateur ne peut pas afficher ce fichier.',
    cut: (shown: string, whole: string) => `Le début : ${shown} sur ${whole}. Télécharger le fichier pour tout voir.`,
    details: {
      type: 'Type',
      size: 'Taille',
      created: 'Ajouté',
      updated: 'Modifié',
      modified: 'Date du fichier',
      stored: 'Enregistré',
      replaced: 'Remplacé',
      sha256: 'SHA-256'
    },
    more: 'Plus',
    notCopied: 'Le navigateur ne permet pas de copier.',
    versionsOf: (name: string) => `Versions de ${visible(name)}`,
    versionOf: (time: string) => `Version du ${time}`,
    current: (size: string, time: string) => `Contenu actuel : ${size}, ${time}`,
    noVersions: 'Ce fichier n’a pas d’anciennes versions.',
    keptUntil: (time: string) => `gardé jusqu’au ${time}`,
    versionRestored: (name: string, time: string) => `Version du ${time} restaurée : ${visible(name)}`,
    versionDeleted: (time: string) => `Supprimé définitivement : la version du ${time}`,
    deleteVersion: 'Supprimer définitivement cette version ?',
    deleteVersionOf: (time: string) =>
      `La version du ${time} est supprimée, sans retour possible. Le fichier lui-même reste :`,
    deleteForGoodNamed: (name: string) => `Supprimer définitivement ${visible(name)}`,
    deleteForGoodTitle: 'Supprimer définitivement ce fichier ?',
    deleteForGoodOf: (versions: number) => {
      if (versions === 0) return 'Sans retour possible :'
      return plural(versions, {
        one: 'Son ancienne version est supprimée aussi, sans retour possible :',
        many: 'Ses # d’anciennes versions sont supprimées aussi, sans retour possible :',
        other: 'Ses # anciennes versions sont supprimées aussi, sans retour possible :'
      })
    },
    restoreOf: (name: string) => `Restaurer ${visible(name)}`,
    restoreAs: 'Restaurer sous un autre nom',
    nameTaken: 'Ce nom est déjà pris :',
    otherName: 'Nom du fichier restauré',
    emptyTrash: 'Vider la corbeille',
    emptyTrashWarning: 'Tout ce qui est dans la corbeille est supprimé, sans retour possible.',
    deleteAllForGood: 'Tout supprimer définitivement',
    trashEmpty: 'La corbeille est vide',
    trashHint: 'Les fichiers supprimés restent ici quelque temps, et peuvent être restaurés.',
    restoreAll: 'Tout restaurer',
    deleteThisForGood: 'Supprimer ceci définitivement ?',
    deleteContent: (content: string) =>
      `Supprimé avec les anciennes versions, sans retour possible : ${content}. Il s’agit de :`,
    deletedFolders: 'Dossiers restaurés avec :',
    previous: 'Fichier précédent',
    next: 'Fichier suivant'
  },
  selection: {
    lostTitle: (count: number) => plural(count, {
      one: 'Supprimer définitivement une ancienne version ou un fichier supprimé ?',
      many: 'Supprimer définitivement # d’anciennes versions et de fichiers supprimés ?',
      other: 'Supprimer définitivement # anciennes versions et fichiers supprimés ?'
    }),
    lostHint: 'La corbeille n’a pas assez de place. Pour y mettre ceci, ce qu’elle a de plus ancien disparaît :',
    goOn: 'Supprimer quand même',
    removeTitle: (items: string) => `Supprimer ${items} ?`,
    removeHint: 'Tout ce que contiennent ces dossiers est supprimé :',
    deleteForGoodTitle: (items: string) => `Supprimer définitivement ${items} ?`,
    deleteAllHint: 'Tout ce qu’ils contiennent est supprimé aussi, sans retour possible :',
    failed: {
      remove: (items: string) => `Pas supprimé : ${items}`,
      move: (items: string) => `Pas déplacé : ${items}`,
      copy: (items: string) => `Pas copié : ${items}`,
      restore: (items: string) => `Pas restauré : ${items}`,
      deleteForGood: (items: string) => `Pas supprimé : ${items}`,
      star: (items: string) => `Favoris pas changés : ${items}`
    },
    stopped: 'Arrêté : la copie peut manquer ou être incomplète.',
    deleteForGoodHint: 'Les anciennes versions sont supprimées aussi, sans retour possible :'
  },
  folders: {
    empty: 'Ce dossier est vide',
    missing: 'Il n’y a pas de dossier de ce nom',
    missingHint: 'Il a peut-être été renommé, déplacé ou supprimé.',
    goUp: 'Remonter à',
    name: 'Nom du dossier',
    submit: 'Créer',
    noneInside: 'Pas d’autres dossiers ici.',
    acts: {
      move: { title: (name: string) => `Déplacer ${visible(name)}`, submit: 'Déplacer ici' },
      copy: { title: (name: string) => `Copier ${visible(name)}`, submit: 'Copier ici' }
    },
    removeTitle: 'Supprimer ce dossier ?',
    removeHint: 'Tout ce que contient ce dossier est supprimé :'
  },
  details: {
    titleOf: (name: string) => `Détails de ${visible(name)}`,
    folder: 'Dossier',
    contents: 'Contenu',
    counting: 'Comptage…',
    countAgain: 'Compter à nouveau',
    versions: 'Anciennes versions',
    showVersions: 'Versions',
    links: 'Liens',
    none: 'Il n’y en a pas.'
  },
  uploads: {
    title: 'Envois',
    pauseAll: 'Tout suspendre',
    resumeAll: 'Tout reprendre',
    clearFinished: 'Masquer les envois finis',
    list: 'Liste des envois',
    more: (count: number) => plural(count, { one: 'et # autre', many: 'et # d’autres', other: 'et # autres' }),
    summary: {
      uploading: (done: number, all: number) =>
        `${plural(done, { one: '# envoyé', many: '# envoyés', other: '# envoyés' })} sur ${number(all)}`,
      done: (all: number) => plural(all, {
        one: '# fichier envoyé', many: '# de fichiers envoyés', other: '# fichiers envoyés'
      }),
      paused: (count: number) => plural(count, { one: '# suspendu', many: '# suspendus', other: '# suspendus' }),
      questions: (count: number) =>
        plural(count, { one: '# question', many: '# de questions', other: '# questions' }),
      failed: (count: number) => plural(count, { one: '# échec', many: '# d’échecs', other: '# échecs' }),
      unfinished: (count: number) => plural(count, { one: '# inachevé', many: '# inachevés', other: '# inachevés' })
    },
    cancelUnfinished: (name: string) => `Annuler l’envoi inachevé de ${visible(name)}`,
    pause: (name: string) => `Suspendre ${visible(name)}`,
    resume: (name: string) => `Reprendre ${visible(name)}`,
    cancel: (name: string) => `Annuler ${visible(name)}`,
    progressOf: (name: string) => `Progression de ${visible(name)}`,
    state: {
      waiting: 'En attente',
      behind: 'En attente d’un autre envoi de ce nom',
      paused: (done: string, all: string) => `Suspendu à ${done} sur ${all}`,
      stored: (size: string) => `Envoyé, ${size}`,
      running: (done: string, all: string) => `${done} sur ${all}`,
      finishing: 'Bientôt fini…',
      speed: (speed: string) => `${speed}/s`,
      timeLeft: (time: string) => `encore ${time}`,
      interrupted: (why: string) => `${why.replace(/[.]$/, '')}. Cet envoi reprendra de lui-même.`,
      sessionEnded: 'Cet envoi reprendra après la connexion.'
    },
    conflict: {
      question: (name: string) => `Un fichier ${visible(name)} existe déjà.`,
      existing: (size: string, time: string) => `Le fichier enregistré : ${size}, modifié le ${time}.`,
      replace: 'Remplacer',
      keep: 'Garder les deux',
      skip: 'Ignorer',
      forAll: 'Faire de même pour les autres fichiers'
    },
    resumable: {
      question: (name: string) => `Un envoi inachevé de ${visible(name)} a la même taille.`,
      explanation: 'Continuer seulement si le fichier n’a pas changé depuis.',
      continue: 'Continuer',
      startAgain: 'Recommencer'
    },
    shared: {
      title: 'Envoyer les fichiers partagés ?',
      hint: 'Une autre application ou page a donné ces fichiers à MagicStore :',
      add: 'Envoyer',
      discard: 'Ne pas garder'
    },
    rename: { label: 'Autre nom', submit: 'Envoyer sous ce nom' },
    unfinished: {
      title: 'Inachevés',
      explanation: 'Pour continuer un envoi, choisir à nouveau le même fichier.',
      progress: (done: string, all: string) => `${done} sur ${all} enregistrés`,
      sizeUnknown: (done: string) => `${done} enregistrés`,
      choose: 'Choisir le fichier',
      chooseFor: (name: string) => `Choisir le fichier ${visible(name)} pour continuer son envoi`
    }
  },
  claim: {
    invitation: {
      hint: 'Voici une invitation à ce serveur. Choisir comment se connecter.',
      submit: 'Créer le compte'
    },
    reset: {
      hint: 'Toutes les sessions et tous les jetons d’accès personnels prennent fin.',
      submit: 'Enregistrer le mot de passe'
    },
    over: 'Ce lien a déjà servi ou n’est plus valable. L’administrateur de ce serveur peut en donner un autre.',
    resetDone: 'Le nouveau mot de passe est enregistré. Il sert maintenant à se connecter.',
    toSignIn: 'Se connecter plutôt'
  },
  factors: {
    title: 'Second facteur',
    sectionHint: 'Avec un second facteur, le mot de passe seul ne suffit plus pour se connecter. ' +
      'Les jetons d’accès personnels restent valables.',
    totp: 'Codes à usage unique',
    totpHint: 'D’une application d’authentification sur le téléphone ou l’ordinateur.',
    totpSince: (date: string) => `Activés depuis le ${date}`,
    setUpTotp: 'Configurer les codes à usage unique',
    replaceTotp: 'Changer d’application',
    removeTotp: 'Désactiver',
    removeTotpLabel: 'Désactiver les codes à usage unique',
    removeTotpTitle: 'Désactiver les codes à usage unique ?',
    removeHint: 'S’il ne reste aucun autre second facteur, le mot de passe seul suffit, et les codes de secours ne ' +
      'sont plus valables.',
    totpOn: 'Les codes à usage unique sont activés.',
    totpOff: 'Les codes à usage unique sont désactivés.',
    passkeys: 'Clés d’accès',
    passkeysHint: 'Se connecter avec une empreinte, un visage, un code PIN ou une clé de sécurité.',
    addPasskey: 'Ajouter une clé d’accès',
    passkeyName: 'Nom de la clé d’accès',
    passkeyNameExample: 'Par exemple : ordinateur portable',
    passkeyAdded: (name: string) => `Clé d’accès ajoutée : ${visible(name)}`,
    passkeyRemoved: (name: string) => `Clé d’accès retirée : ${visible(name)}`,
    removePasskey: 'Retirer',
    removePasskeyOf: (name: string) => `Retirer la clé d’accès ${visible(name)}`,
    removePasskeyTitle: 'Retirer cette clé d’accès ?',
    recoveryCodes: 'Codes de secours',
    codesLeft: (count: number) => plural(count, {
      one: 'Il en reste #, pour une connexion sans application ni clé d’accès.',
      many: 'Il en reste #, chacun pour une connexion sans application ni clé d’accès.',
      other: 'Il en reste #, chacun pour une connexion sans application ni clé d’accès.'
    }),
    newCodes: 'En créer d’autres',
    newCodesTitle: 'Créer de nouveaux codes de secours ?',
    newCodesHint: 'Les anciens ne seront plus valables.',
    codesShownOnce: 'Garder ces codes de secours en lieu sûr. Chacun permet une connexion si l’application ou la clé ' +
      'd’accès est perdue. Ils ne s’affichent que cette fois.',
    printed: (host: string, username: string) => `MagicStore sur ${host}, codes de secours de ${username}`,
    print: 'Imprimer',
    continue: 'Continuer',
    label: { totp: 'Code de l’application d’authentification', recovery: 'Code de secours' },
    hint: {
      totp: 'Six chiffres. Chaque code sert une fois : s’il vient de servir, attendre le suivant.',
      recovery: 'L’un des codes affichés à la configuration du second facteur. Chacun sert une fois.'
    },
    toKind: { totp: 'Utiliser un code d’une application', recovery: 'Utiliser un code de secours' },
    usePasskey: 'Utiliser une clé d’accès',
    codeOfOldApp: 'Confirmer avec le second facteur actuel.',
    nextCodeOfOldApp: 'Confirmer encore une fois avec l’ancien second facteur, pas avec la nouvelle application.',
    confirmPasskey: 'La clé d’accès est créée. Confirmer encore une fois pour l’ajouter au compte.',
    confirmSession: 'Le mot de passe est changé. Confirmer encore une fois pour rester connecté.',
    scan: 'Scanner ceci avec une application d’authentification, ou y saisir la clé.',
    qrCode: 'Code QR de la clé',
    key: 'Clé',
    openApp: 'Ouvrir une application sur cet appareil',
    turnOn: 'Activer',
    setUpTitle: 'Configurer un second facteur',
    setUpHint: 'Sur ce serveur, un mot de passe seul ne suffit pas. Choisir ce qui s’y ajoute.'
  },
  account: {
    devices: {
      title: 'Autres appareils',
      drive: 'Lecteur réseau',
      driveHint: 'Se connecter à cette adresse (WebDAV) dans l’explorateur de fichiers de l’ordinateur, avec le nom ' +
        'd’utilisateur et, comme mot de passe, un jeton qui peut lire et modifier les fichiers : on en crée un ' +
        'plus bas.',
      copy: 'Copier l’adresse du lecteur',
      phone: 'Téléphone',
      phoneHint: 'Scanner le code pour ouvrir cette page. « Ajouter à l’écran d’accueil » dans le menu du ' +
        'navigateur la ' +
        'garde comme une application.',
      code: 'Code QR de l’adresse de cette page',
      program: 'Programme',
      programHint: 'Un programme qui affiche un code de huit lettres reçoit son propre jeton, pour 90 jours.',
      enterCode: 'Saisir un code'
    },
    connect: {
      title: 'Connecter un programme',
      code: 'Code',
      codeHint: 'Les huit lettres que le programme affiche. À saisir seulement pour un programme lancé soi-même.',
      continue: 'Continuer',
      unknown: 'Aucun programme n’attend avec ce code. Il a peut-être expiré : en demander un nouveau au programme.',
      allowTitle: 'Autoriser ce programme ?',
      networks: (network: string, own: string) => `Réseau du programme : ${network}. Celui d’ici : ${own}.`,
      warning: 'Si ce code vient de quelqu’un d’autre, refuser : cette personne aurait accès aux fichiers d’ici.',
      allow: 'Autoriser',
      refuse: 'Refuser',
      allowed: (name: string) => `Connecté : ${visible(name)}`
    },
    secretCode: 'Code QR du jeton',
    asDrive: (address: string, username: string) =>
      `Comme lecteur réseau (WebDAV) : l’adresse ${address}, le nom d’utilisateur ${visible(username)}, et ` +
      'ce jeton comme mot de passe.',
    storage: {
      label: 'Stockage',
      kept: (size: string) => `${size} dans les versions et la corbeille`,
      uploading: (size: string) => `${size} en cours d’envoi`,
      ofBytes: (size: string) => `sur ${size}`,
      ofFiles: (count: number) => `au plus ${number(count)} fichiers et dossiers`
    },
    languages: {
      title: 'Langue',
      hint: 'Pour cette page et les pages des liens, dans ce navigateur.',
      asBrowser: 'Comme le navigateur'
    },
    profile: 'Profil',
    username: 'Nom d’utilisateur',
    since: 'Membre depuis le',
    password: 'Mot de passe',
    passwordHint: 'Un nouveau mot de passe met fin à toutes les autres sessions et à tous les jetons d’accès ' +
      'personnels. La session ici continue.',
    currentPassword: 'Mot de passe actuel',
    newPassword: 'Nouveau mot de passe',
    changePassword: 'Changer le mot de passe',
    tokens: 'Jetons d’accès personnels',
    tokensHint: 'Pour les scripts et les programmes, qui n’ont alors pas besoin du mot de passe.',
    tokensHintWithoutPassword:
      `Pour les scripts et les programmes. Ils se mettent en pause après un temps sans connexion avec ${provider}.`,
    noTokens: 'Il n’y a pas de jetons d’accès personnels.',
    newToken: 'Nouveau jeton',
    tokenName: 'Nom',
    tokenNameExample: 'Par exemple : script de sauvegarde',
    scopesOfToken: 'Ce que le jeton peut faire',
    scopes: {
      'files:read': {
        name: 'Lire les fichiers', hint: 'Lister et télécharger les fichiers, les versions et la corbeille.'
      },
      'files:write': {
        name: 'Modifier les fichiers', hint: 'Envoyer, remplacer, renommer, supprimer et restaurer des fichiers.'
      },
      account: { name: 'Révoquer des jetons', hint: 'Mettre fin à toute session et à tout jeton du compte.' },
      links: { name: 'Partager des fichiers', hint: 'Créer, modifier et révoquer des liens.' }
    },
    expiry: 'Expiration',
    lifetimes: {
      '30 days': 'Dans 30 jours', '90 days': 'Dans 90 jours', year: 'Dans un an', date: 'À une date', never: 'Jamais'
    },
    lastDay: 'Dernier jour du jeton',
    neverHint: 'Toute personne qui a le jeton peut l’utiliser jusqu’à ce qu’il soit révoqué.',
    createToken: 'Créer le jeton',
    tokenCreated: 'Jeton créé',
    shownOnce: 'Copier le jeton maintenant. Il ne s’affiche que cette fois.',
    secret: 'Jeton',
    done: 'Terminé',
    created: (date: string) => `Créé le ${date}`,
    expires: (time: string) => `Expire le ${time}`,
    neverExpires: 'N’expire jamais',
    used: (time: string) => `Dernière utilisation : ${time}`,
    neverUsed: 'Jamais utilisé',
    revoke: 'Révoquer',
    revokeOf: (name: string) => `Révoquer ${name}`,
    revokeTitle: 'Révoquer ce jeton ?',
    revokeHint: 'Les programmes qui l’utilisent sont refusés à partir de maintenant, sans retour possible.',
    sessions: 'Sessions ouvertes',
    sessionsHint: 'Les navigateurs où ce compte est connecté. Une session se termine après 30 jours' +
      `${provider === '' ? '' : `, ou plus tôt si elle a commencé avec ${provider}`}.`,
    device: (browser: string | null, system: string | null) => browser === null
      ? system ?? 'Navigateur inconnu'
      : system === null ? browser : `${browser} sur ${system}`,
    signedIn: (time: string, factors: readonly Factor[]) => factors.length === 0
      ? `Connexion : ${time}`
      : `Connexion : ${time}, avec ${factors.map(factor => factorWords[factor]).join(' et ')}`,
    thisSession: 'Cette session',
    end: 'Terminer',
    endOf: (device: string, time: string) => `Terminer la session du ${time}, ${device}`,
    everywhere: 'Se déconnecter partout',
    everywhereTitle: 'Se déconnecter partout ?',
    everywhereHint: 'Toutes les sessions prennent fin, celle-ci aussi, et tous les jetons d’accès personnels.',
    signedOutEverywhere: 'Déconnecté partout.',
    events: 'Événements récents',
    eventsHint: (hasPassword: boolean) => `Quelque chose d’inconnu ? ${hasPassword
      ? 'Mieux vaut changer le mot de passe.'
      : 'Mieux vaut le dire à l’administrateur de ce serveur.'}`,
    showMore: 'Afficher plus',
    kinds: {
      registered: 'Compte créé',
      sign_in: 'Connexion',
      sign_in_failed: 'Échec de connexion',
      sign_in_new_network: 'Connexion depuis un nouveau réseau',
      session_created: 'Connexion sur cette page',
      token_issued: 'Jeton d’accès créé',
      token_revoked: 'Fin d’une session ou d’un jeton',
      tokens_revoked: 'Fin de toutes les sessions et de tous les jetons',
      personal_token_created: 'Jeton d’accès personnel créé',
      connection_allowed: 'Connexion d’un programme autorisée',
      connection_refused: 'Connexion d’un programme refusée',
      connection_expired: 'Connexion d’un programme expirée sans avoir servi',
      password_changed: 'Mot de passe changé',
      factor_added: 'Second facteur ajouté',
      factor_removed: 'Second facteur retiré',
      recovery_codes_replaced: 'Nouveaux codes de secours créés',
      recovery_code_used: 'Code de secours utilisé',
      passkey_refused: 'Clé d’accès refusée',
      second_factor_missing: 'Bon mot de passe sans code, depuis un nouveau réseau',
      second_factor_wrong: 'Bon mot de passe, code incorrect',
      identity_connected: 'Identité reliée',
      identity_removed: 'Identité retirée',
      identity_refused: 'Identité refusée',
      password_removed: 'Mot de passe retiré',
      invitation_used: 'Compte créé par une invitation',
      reset_created: 'Lien pour un nouveau mot de passe créé',
      password_reset: 'Mot de passe changé par un lien',
      link_created: 'Lien créé',
      link_changed: 'Lien modifié',
      link_revoked: 'Lien révoqué',
      links_revoked: 'Tous les liens révoqués',
      link_password_wrong: 'Mot de passe incorrect pour un lien',
      disabled: 'Compte bloqué',
      enabled: 'Compte débloqué',
      quota_changed: 'Limite de stockage changée',
      trash_emptied: 'Corbeille vidée',
      files_restored: 'Fichiers restaurés d’une sauvegarde',
      files_imported: 'Fichiers importés',
      account_exported: 'Compte exporté',
      account_removed: 'Compte supprimé'
    },
    networks: {
      operator: 'par l’administrateur du serveur',
      unknown: 'depuis un réseau inconnu'
    },
    from: (network: string) => `depuis ${network}`,
    remove: 'Supprimer le compte',
    removeHint: 'Le compte, tous les fichiers avec leurs versions, la corbeille, toutes les sessions et tous les ' +
      'jetons sont supprimés.',
    removeButton: 'Supprimer le compte',
    removeTitle: 'Supprimer le compte ?',
    removeWarning: 'Tous les fichiers sont supprimés aussitôt, sans retour possible.',
    typeUsername: 'Pour confirmer, saisir le nom d’utilisateur :',
    notUsername: 'Ce n’est pas le nom d’utilisateur.',
    removed: 'Le compte et tous les fichiers sont supprimés.'
  },
  links: {
    titleOf: (name: string) => `Lien vers ${visible(name)}`,
    requestTitleOf: (name: string) => `Demander des fichiers pour ${visible(name)}`,
    hint: 'Toute personne qui a le lien peut télécharger, sans compte.',
    requestHint: 'Toute personne qui a le lien peut envoyer des fichiers dans ce dossier, sans rien en voir.',
    address: 'Lien',
    create: 'Créer le lien',
    another: 'Un autre lien',
    share: 'Partager…',
    qrCode: 'Code QR',
    qrCodeOf: (name: string) => `Code QR du lien vers ${visible(name)}`,
    addressUnknown: 'Le serveur ne connaît plus l’adresse de ce lien. Les personnes qui l’ont peuvent encore ' +
      'l’utiliser.',
    longest: 'Le plus tard possible',
    listTitle: 'Liens créés',
    listHint: 'Les fichiers et dossiers partagés. Chaque lien marche sans compte, jusqu’à ce qu’il expire ou soit ' +
      'révoqué.',
    none: 'Pas de liens',
    noneHint: 'Pour partager, choisir « Lien… » dans le menu d’un fichier ou d’un dossier.',
    kinds: { download: 'Téléchargement', upload: 'Demande de fichiers' },
    withPassword: 'Avec un mot de passe',
    expired: 'Expiré',
    full: 'N’accepte plus rien',
    created: (date: string) => `Créé le ${date}`,
    expires: (time: string) => `Expire le ${time}`,
    neverExpires: 'N’expire jamais',
    used: (count: number, time: string) => `${plural(count, {
      one: 'Utilisé # fois', many: 'Utilisé # de fois', other: 'Utilisé # fois'
    })}, la dernière : ${time}`,
    neverUsed: 'Jamais utilisé',
    received: (files: number, maxFiles: number, bytes: string, maxBytes: string) => `${number(files)} sur ${plural(
      maxFiles, { one: '# fichier', many: '# de fichiers', other: '# fichiers' }
    )}, ${bytes} sur ${maxBytes}`,
    change: 'Modifier',
    changeOf: (name: string) => `Modifier le lien vers ${visible(name)}`,
    changed: 'Le lien est modifié.',
    save: 'Enregistrer',
    newSecret: 'Nouvelle adresse',
    newSecretOf: (name: string) => `Nouvelle adresse pour le lien vers ${visible(name)}`,
    newSecretTitle: 'Créer une nouvelle adresse ?',
    newSecretHint: 'L’ancienne adresse de ce lien cesse aussitôt de marcher. Ses réglages restent :',
    revoke: 'Révoquer',
    revokeOf: (name: string) => `Révoquer le lien vers ${visible(name)}`,
    revokeTitle: 'Révoquer ce lien ?',
    revokeHint: 'Personne ne peut plus l’utiliser, sans retour possible :',
    revoked: 'Le lien est révoqué.',
    revokeAll: 'Tout révoquer',
    revokeAllTitle: 'Révoquer tous les liens ?',
    revokeAllHint: 'Personne ne peut plus utiliser aucun de ces liens, sans retour possible.',
    expiry: 'Expiration',
    lifetimes: {
      keep: 'Comme avant',
      '1 day': 'Dans un jour',
      '7 days': 'Dans une semaine',
      '30 days': 'Dans 30 jours',
      year: 'Dans un an',
      date: 'À une date',
      never: 'Jamais'
    },
    lastDay: 'Dernier jour du lien',
    keep: (current: string) => `Comme avant : ${current}`,
    password: 'Mot de passe',
    passwordHint: 'Facultatif. Le donner par un autre moyen que le lien.',
    passwordKept: 'Il y a un mot de passe. Laisser vide pour le garder.',
    removePassword: 'Retirer le mot de passe',
    maxFiles: 'Fichiers en tout, au plus',
    maxMegabytes: 'Mo en tout, au plus',
    showsOwner: 'Afficher le nom d’utilisateur aux personnes qui ont le lien'
  },
  identities: {
    title: 'Fournisseur d’identité',
    hint: `La connexion peut se faire avec ${provider}, sans mot de passe. Un nouveau mot de passe y met fin.`,
    hintWithoutPassword: `Le compte n’a pas de mot de passe : la connexion se fait avec ${provider}.`,
    elsewhere: `${provider} ne marche que sur`,
    none: `Le compte n’est pas relié à ${provider}.`,
    connect: `Relier à ${provider}`,
    connected: `${provider} est relié.`,
    connectedOn: (date: string) => `Relié le ${date}`,
    connectTitle: `Relier à ${provider}`,
    connectLabel: 'Relier',
    confirmConnection: `${provider} a répondu. Confirmer avec le mot de passe pour se connecter ainsi désormais.`,
    connectHint: (username: string) =>
      `Connecté : ${visible(username)}. Une fois relié, ${provider} permet de se connecter.`,
    notNow: 'Pas maintenant',
    remove: 'Retirer',
    removeOf: (name: string) => `Retirer ${visible(name)}`,
    removeTitle: 'Retirer cette identité ?',
    removeHint: `Elle ne permettra plus de se connecter. Les sessions commencées avec ${provider} prennent fin, ` +
      'peut-être celle-ci aussi.',
    removed: 'L’identité est retirée.',
    waiting: `La suite est dans la fenêtre de ${provider}. Si elle est fermée, appuyer à nouveau sur le bouton.`,
    blocked: 'Le navigateur n’a pas ouvert de fenêtre. L’autoriser pour cette page, puis réessayer.',
    confirmHint: `Pour confirmer, ${provider} s’ouvre dans une nouvelle fenêtre.`,
    takenTitle: 'La suite est dans l’autre fenêtre',
    taken: 'La fenêtre du début a la réponse. Celle-ci peut être fermée.',
    notBegunTitle: 'Non connecté',
    notBegun: 'Cette connexion n’a pas commencé dans ce navigateur, ou il y a trop longtemps.',
    refusedTitle: 'Non connecté',
    toPage: 'Aller à la page',
    newTitle: 'Choisir un nom d’utilisateur',
    newHint: `La connexion avec ${provider} a réussi, mais il n’y a pas encore de compte ici.`,
    toExisting: 'Il y a déjà un compte : le relier plutôt',
    existingTitle: 'Se connecter avec le mot de passe',
    existingHint: `Ensuite, ${provider} peut être relié au compte.`,
    endWithFactor: `Les liaisons avec ${provider} prennent alors fin, car quelqu’un qui connaissait le mot de passe ` +
      'a pu en créer une. Recréer ensuite la sienne.',
    refusals: {
      identity_unknown: `Aucun compte ici n’est relié à cette identité chez ${provider}, ou il est bloqué.`,
      identity_not_allowed: `La connexion chez ${provider} a réussi, mais ne donne pas accès à ce serveur. ` +
        'Demander à son administrateur.',
      oidc_refused: `La réponse de ${provider} a été refusée, est venue trop tard ou a déjà servi. Réessayer.`,
      oidc_unavailable: 'Ce serveur n’a plus de fournisseur d’identité.',
      provider_unavailable: `${provider} était injoignable.`,
      overloaded: 'Trop de personnes se connectent en ce moment.',
      too_many_sign_ins: 'Trop de connexions ont échoué depuis ce réseau.',
      too_many_registrations: 'Trop de comptes ont été créés depuis ce réseau.',
      registration_closed: 'Seul l’administrateur de ce serveur peut créer des comptes.',
      identity_taken: `Cette identité chez ${provider} est déjà reliée à un compte.`,
      too_many_identities: 'Le compte a déjà autant d’identités que possible. En retirer une d’abord.',
      password_present: 'Le compte a un mot de passe entre-temps. Recharger la page.'
    }
  },
  unsaved: {
    title: 'Abandonner les changements ?',
    hint: 'Ils ne sont pas enregistrés.',
    discard: 'Abandonner'
  },
  shortcuts: {
    use: 'Utiliser les touches / et ?',
    useHint: 'À désactiver si cet appareil se commande à la voix.',
    anywhere: {
      title: 'Partout',
      search: 'Chercher',
      list: 'Afficher cette liste',
      undo: 'Annuler la dernière action, tant que son message est là',
      close: 'Fermer ou annuler'
    },
    inList: {
      title: 'Dans la liste des fichiers',
      upDown: 'Monter et descendre',
      page: 'Avancer ou reculer d’une page',
      ends: 'Aller au début ou à la fin',
      row: 'Aller d’un bouton à l’autre sur une ligne',
      letters: 'Aller à un nom qui commence par les lettres tapées',
      open: 'Ouvrir',
      rename: 'Renommer',
      menu: 'Ouvrir le menu',
      remove: 'Mettre à la corbeille',
      star: 'Ajouter aux favoris ou en retirer'
    },
    selection: {
      title: 'Sélection',
      toggle: 'Sélectionner ou désélectionner',
      extend: 'Sélectionner plus ou moins',
      all: 'Tout sélectionner',
      none: 'Ne rien sélectionner'
    },
    preview: {
      title: 'Dans un aperçu',
      move: 'Fichier précédent ou suivant',
      zoom: 'Agrandir et réduire',
      pan: 'Déplacer l’image agrandie',
      whole: 'Voir l’image entière',
      details: 'Détails de l’image',
      close: 'Fermer'
    },
    keys: {
      escape: 'Échap',
      pages: 'Page↑ Page↓',
      ends: 'Début Fin',
      enter: 'Entrée',
      menu: 'Menu Maj+F10',
      remove: 'Suppr',
      space: 'Espace',
      extend: 'Maj+↑ Maj+↓',
      undo: 'Ctrl+Z',
      all: 'Ctrl+A'
    }
  },
  timeline: {
    months: 'Mois',
    nothing: {
      title: 'Pas encore d’images ni de vidéos',
      hint: 'Les images et vidéos de ce dossier et de ses sous-dossiers apparaissent ici, par jour de prise de vue.'
    }
  },
  firstSteps: {
    title: 'Bon à savoir',
    hide: 'Masquer',
    steps: {
      drive: {
        title: 'Un lecteur réseau sur l’ordinateur',
        hint: 'Les fichiers sont dans son explorateur, à côté des autres.'
      },
      phone: {
        title: 'Le téléphone',
        hint: 'Y scanner un code et garder la page comme une application.'
      },
      factor: {
        title: 'Un second facteur',
        hint: 'Le mot de passe seul ne suffit alors plus pour se connecter.'
      }
    }
  },
  photos: {
    title: 'Envoyer des photos',
    hint: (folder: string) =>
      `Ce qui est déjà dans ${folder === '' ? 'Fichiers' : visible(folder)} ou plus bas n’est pas envoyé de nouveau.`,
    byMonth: 'Ranger par mois, par exemple dans Camera/2026/11',
    choose: 'Choisir des photos et des vidéos',
    comparing: (done: number, all: number) => `Comparaison : ${number(done)} sur ${number(all)}…`,
    sent: (count: number) => plural(count, { one: '# envoyée.', many: '# envoyées.', other: '# envoyées.' }),
    left: (count: number) =>
      plural(count, { one: '# est en route.', many: '# sont en route.', other: '# sont en route.' }),
    there: (count: number) =>
      plural(count, { one: '# était déjà là.', many: '# étaient déjà là.', other: '# étaient déjà là.' })
  },
  offline: {
    title: 'Hors ligne.',
    hint: 'Les listes datent de la dernière visite sur cet appareil. Les fichiers ajoutés sont gardés ici et ' +
      'envoyés plus tard.',
    notKept: (name: string) =>
      `Le navigateur n’a pas la place de garder ${visible(name)}. ` +
      'Laisser la page ouverte jusqu’à la fin de l’envoi.',
    leave: {
      title: 'Des fichiers ne sont pas encore envoyés',
      text: (count: number) =>
        `${plural(count, {
          one: '# fichier attend', many: '# de fichiers attendent', other: '# fichiers attendent'
        })} encore. ` +
        'À la déconnexion, ce navigateur oublie ce qui attend.'
    }
  },
  pictures: {
    notShown: (ending: string) =>
      `Ce navigateur ne sait pas afficher les fichiers ${ending}. Télécharger le fichier pour le voir.`
  },
  viewer: {
    details: 'Détails',
    taken: 'Prise de vue',
    camera: 'Appareil',
    place: 'Lieu',
    cutTable: 'Seules les premières lignes et colonnes sont affichées. Télécharger le fichier pour tout voir.'
  },
  editor: {
    edit: 'Modifier',
    save: 'Enregistrer',
    label: (name: string) => `Texte de ${name}`,
    saved: (name: string) => `Enregistré : ${visible(name)}`,
    notText: 'Ce n’est pas du texte en UTF-8. Il ne peut pas être modifié ici.',
    conflict: 'Le fichier a changé entre-temps',
    conflictHint: 'Ce texte remplace le contenu actuel, qui reste comme version si le serveur garde des versions.',
    replace: 'Remplacer',
    name: 'Nom du fichier',
    offered: 'texte.txt',
    submit: 'Créer'
  }
})
