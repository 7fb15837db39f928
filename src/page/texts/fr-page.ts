/* eslint no-irregular-whitespace: ['error', { skipTemplates: true }] -- French has a narrow space before : ; ! ? */
import type { PageTexts } from './en-page.ts'
import { frame } from './fr-frame.ts'
import type { Tools } from './tools.ts'

/** The texts of the first view of the page of an account, in French. */
export const texts = (tools: Tools<'fr'>): PageTexts => {
  const { visible, number, plural } = tools
  const ofBoth = frame(tools)
  const { files } = ofBoth
  return {
    ...ofBoth,
    problems: {
      ...ofBoth.problems,
      validation_failed: 'Une saisie n’est pas acceptée',
      username_taken: 'Ce nom d’utilisateur est déjà pris',
      username_invalid: 'Nom d’utilisateur non valide',
      password_invalid: 'Mot de passe non valide',
      credentials_missing: 'Non connecté',
      credentials_wrong: 'Nom d’utilisateur ou mot de passe incorrect',
      second_factor_required: 'Un code à usage unique est nécessaire',
      second_factor_wrong: 'Le code à usage unique est incorrect ou a déjà servi',
      passkey_refused: 'La clé d’accès a été refusée',
      password_required: 'Le mot de passe est nécessaire',
      token_expired: 'La session est terminée',
      token_revoked: 'La session est terminée',
      tls_required: 'Le serveur n’accepte les mots de passe que par HTTPS',
      second_factor_setup_required: 'Configurer d’abord un second facteur',
      registration_closed: 'Personne ne peut créer de compte ici',
      too_many_sign_ins: 'Trop d’échecs de connexion',
      too_many_codes: 'Trop de codes incorrects',
      too_many_registrations: 'Trop de comptes ont été créés depuis ce réseau'
    },
    problemHints: {
      ...ofBoth.problemHints,
      username: 'Il a de 1 à 64 lettres et chiffres, et des espaces seulement entre les mots.',
      password_invalid: 'Il a au moins 8 caractères, et n’est ni courant ni le nom d’utilisateur.'
    },
    cancel: 'Annuler',
    copy: 'Copier',
    copied: 'Copié.',
    dismiss: 'Masquer',
    breakLock: 'Lever le verrou',
    breakLockHint: 'Seulement si aucun autre programme n’y travaille.',
    lockBroken: 'Le verrou est levé. Réessayer maintenant.',
    skipToMain: 'Aller au contenu',
    navigation: 'Pages',
    views: {
      files: 'Fichiers',
      recent: 'Récents',
      starred: 'Favoris',
      links: 'Liens',
      trash: 'Corbeille',
      account: 'Compte'
    },
    sign: {
      in: 'Se connecter',
      out: 'Se déconnecter',
      up: 'Créer un compte',
      toSignUp: 'Créer plutôt un compte',
      toSignIn: 'Se connecter plutôt',
      username: 'Nom d’utilisateur',
      password: 'Mot de passe',
      endedTitle: 'La session est terminée',
      ended: 'Se reconnecter pour continuer ici. Rien sur cette page n’est perdu.',
      asAnother: 'Se connecter avec un autre compte',
      inWithPasskey: 'Se connecter avec une clé d’accès',
      inWith: (provider: string) => `Se connecter avec ${provider}`,
      or: 'Ou avec un mot de passe :',
      upWith: (provider: string) => `Pour créer un compte, se connecter avec ${provider}.`,
      providerKnows: (provider: string) => `Déconnecté ici. La session chez ${provider} peut durer encore.`,
      noStorage: 'Le navigateur refuse le stockage, qui est nécessaire ici.',
      upHint: 'Choisir un nom d’utilisateur et un mot de passe. Seul l’administrateur de ce serveur peut remplacer ' +
        'un mot de passe oublié.',
      closed: 'Seul l’administrateur de ce serveur peut créer des comptes.',
      welcome: 'Des fichiers privés : envoyés ici, retrouvés partout.'
    },
    files: {
      new: 'Nouveau',
      newText: 'Nouveau fichier texte',
      columns: {
        name: 'Nom',
        size: 'Taille',
        changed: 'Modifié',
        deleted: 'Supprimé',
        expires: 'Gardé jusqu’au',
        actions: 'Actions'
      },
      orders: {
        natural: 'Nom, de A à Z',
        '-natural': 'Nom, de Z à A',
        '-changed': 'Plus récents d’abord',
        changed: 'Plus anciens d’abord',
        largest: 'Plus gros d’abord',
        smallest: 'Plus petits d’abord',
        name: 'Dossier par dossier'
      },
      order: 'Ordre',
      search: 'Chercher…',
      scope: 'Où chercher',
      scopes: { folder: 'Dans ce dossier', everywhere: 'Partout' },
      inFolder: (path: string) => `Afficher dans ${path}`,
      found: (count: number, isAll: boolean) => isAll
        ? plural(count, { one: '# résultat.', many: '# de résultats.', other: '# résultats.' })
        : `Plus de ${number(count)} résultats.`,
      foundPart: (count: number) => `${plural(count, {
        one: '# résultat', many: '# de résultats', other: '# résultats'
      })}, et peut-être plus : chercher dossier par dossier pour tout trouver.`,
      searchFailed: 'La recherche a échoué.',
      star: 'Ajouter aux favoris',
      unstar: 'Retirer des favoris',
      starred: 'favori',
      showInFolder: 'Afficher dans son dossier',
      jump: 'A–Z : aller à une lettre',
      letters: 'A–Z',
      layout: 'Affichage',
      layouts: { list: 'Liste', tiles: 'Mosaïque', timeline: 'Chronologie' },
      newName: (name: string) => `Nouveau nom de ${visible(name)}`,
      save: 'Enregistrer le nom',
      menuOf: (name: string) => `Actions pour ${visible(name)}`,
      open: 'Ouvrir',
      download: 'Télécharger',
      zip: 'fichiers',
      rename: 'Renommer',
      versions: 'Versions',
      remove: 'Supprimer',
      restore: 'Restaurer',
      undo: 'Annuler',
      view: 'Voir',
      copy: 'Copier',
      copied: (name: string) => `Copié sous ${visible(name)}`,
      renamed: (name: string) => `Renommé en ${visible(name)}`,
      slash: 'Un nom ne peut pas contenir de barre oblique (/) : elle sépare les dossiers. Pour changer de dossier, ' +
        'choisir « Déplacer ».',
      notUndone: (why: string) => `Pas annulé : ${why}`,
      deleted: (name: string) => `Mis à la corbeille : ${visible(name)}`,
      deletedForGood: (name: string) => `Supprimé définitivement : ${visible(name)}`,
      removed: (name: string) => `Supprimé : ${visible(name)}`,
      restored: (name: string) => `Restauré : ${visible(name)}`,
      downloadFailed: (name: string) => `Échec du téléchargement : ${visible(name)}`,
      deleteForGood: 'Supprimer définitivement',
      usage: {
        files,
        folders: (count: number) => plural(count, { one: '# dossier', many: '# de dossiers', other: '# dossiers' })
      }
    },
    selection: {
      label: 'Sélection',
      of: (name: string) => `Sélectionner ${visible(name)}`,
      all: 'Tout sélectionner',
      chosen: (count: number) =>
        plural(count, { one: '# sélectionné', many: '# sélectionnés', other: '# sélectionnés' }),
      items: (count: number) => plural(count, { one: '# élément', many: '# d’éléments', other: '# éléments' }),
      end: 'Quitter la sélection',
      stop: 'Arrêter',
      running: {
        remove: 'Suppression',
        move: 'Déplacement',
        copy: 'Copie',
        restore: 'Restauration',
        deleteForGood: 'Suppression définitive',
        star: 'Changement des favoris'
      },
      progress: (act: string, done: number, all: number) => `${act} : ${number(done)} sur ${number(all)}`,
      deleted: (items: string) => `Mis à la corbeille : ${items}`,
      removed: (items: string) => `Supprimé : ${items}`,
      deletedForGood: (items: string) => `Supprimé définitivement : ${items}`,
      restored: (items: string) => `Restauré : ${items}`,
      moved: (items: string, folder: string) =>
        `Déplacé vers ${folder === '' ? 'Fichiers' : visible(folder)} : ${items}`,
      movedBack: (items: string) => `Remis à sa place : ${items}`,
      copied: (items: string, folder: string) =>
        `Copié vers ${folder === '' ? 'Fichiers' : visible(folder)} : ${items}`
    },
    folders: {
      path: 'Chemin du dossier',
      kind: 'Dossier',
      create: 'Nouveau dossier',
      created: (name: string) => `Dossier créé : ${visible(name)}`,
      add: 'Envoyer un dossier',
      move: 'Déplacer',
      moved: (name: string, folder: string) =>
        `Déplacé vers ${folder === '' ? 'Fichiers' : visible(folder)} : ${visible(name)}`,
      movedBack: (name: string) => `Remis à sa place : ${visible(name)}`,
      deleted: (name: string) => `Mis à la corbeille avec son contenu : ${visible(name)}`,
      restored: (count: number) => plural(count, {
        one: '# fichier restauré.', many: '# de fichiers restaurés.', other: '# fichiers restaurés.'
      }),
      kept: (count: number) => plural(count, {
        one: '# n’a pas pu être restauré et reste dans la corbeille.',
        many: '# n’ont pas pu être restaurés et restent dans la corbeille.',
        other: '# n’ont pas pu être restaurés et restent dans la corbeille.'
      })
    },
    details: {
      show: 'Détails'
    },
    uploads: {
      photos: 'Envoyer des photos',
      add: 'Envoyer des fichiers',
      dropHere: 'Déposer ici pour envoyer',
      dropInto: (folder: string) => `Déposer ici pour envoyer dans ${visible(folder)}`,
      leftOut: (count: number, names: string) => `${plural(count, {
        one: '# fichier système laissé de côté',
        many: '# de fichiers système laissés de côté',
        other: '# fichiers système laissés de côté'
      })} : ${names}.`,
      folderUnreadable: (name: string) => `Le dossier ${visible(name)} n’a pas pu être lu en entier.`,
      fileUnreadable: 'Le fichier n’est plus lisible',
      fileUnreadableDetail: 'Il a été modifié, déplacé ou supprimé. Le choisir à nouveau.',
      elsewhere: 'Une autre fenêtre ou un autre appareil envoie déjà ce fichier',
      elsewhereDetail: 'Réessayer pour continuer ici.',
      ended: 'Une autre fenêtre ou un autre appareil a mis fin à cet envoi',
      endedDetail: 'Réessayer pour envoyer le fichier depuis le début.',
      nameImpossible: 'Un fichier ne peut pas s’appeler ainsi',
      announced: {
        added: (count: number) => `Envoi de ${files(count)}.`,
        addedOne: (name: string) => `Envoi de ${visible(name)}.`,
        stored: (count: number) => `Envois finis : ${files(count)}.`,
        storedOne: (name: string) => `${visible(name)} envoyé.`,
        cancelled: (count: number) => `Envois annulés : ${number(count)}.`,
        cancelledOne: (name: string) => `Envoi de ${visible(name)} annulé.`,
        failed: (count: number) => `Échecs d’envoi : ${number(count)}.`,
        failedOne: (name: string, why: string) => `L’envoi de ${visible(name)} a échoué : ${why}.`,
        conflict: (count: number) =>
          `Déjà présents : ${files(count)}. Choisir dans la liste des envois ce qu’il faut faire.`,
        conflictOne: (name: string) =>
          `Un fichier ${visible(name)} existe déjà. Choisir dans la liste des envois ce qu’il faut faire.`,
        resumable: (count: number) =>
          `Envois inachevés : ${number(count)}. Choisir dans la liste des envois ce qu’il faut faire.`,
        resumableOne: (name: string) =>
          `Un envoi inachevé de ${visible(name)} existe. Choisir dans la liste des envois ce qu’il faut faire.`,
        progress: (percent: string, name: string) => `${percent} de ${visible(name)} envoyé.`
      }
    },
    shortcuts: {
      title: 'Raccourcis clavier'
    },
    factors: {
      isSetUp: 'Le second facteur est configuré. Il sert maintenant à se connecter.',
      noHost: 'Pas de clés d’accès ici : l’adresse de ce serveur n’a pas de nom, ou pas de HTTPS.',
      otherHost: (host: string) => `Pas de clés d’accès à cette adresse, seulement sur ${host}.`,
      noPasskeys: 'Ce navigateur n’a pas de clés d’accès.',
      passkeyKnown: 'Cet appareil a déjà une clé d’accès pour ce compte.',
      passkeyUnused: 'Le navigateur n’a pas utilisé de clé d’accès.'
    },
    claimTitles: { invitation: 'Créer le compte', reset: 'Choisir un nouveau mot de passe' },
    links: {
      of: 'Lien…',
      request: 'Demander des fichiers…',
      has: 'avec un lien',
      arrived: (count: number, name: string) => {
        const arrived = count === 1 ? 'Arrivé par un lien' : `Arrivés par des liens : ${files(count)}. Le dernier`
        return `${arrived} : ${visible(name)}`
      },
      allRevoked: 'Tous les liens sont révoqués.',
      stayAfterPassword: 'Les liens restent valables.',
      revokeAllLinks: 'Révoquer tous les liens'
    },
    account: {
      passwordChanged: 'Le mot de passe est changé. Toutes les autres sessions et tous les jetons ont pris fin.'
    }
  }
}
