"""Many agents on one repository. Plans and git, low to high; none of it asks the kernel, the engine does.

    paths         names as git has them: quote, unquote, is_text, parse, covers
    git           the one place where git runs: run, as_the_user, require
    repository    the user's repository: Repository.open, resolve, identity, ref, refs, checkouts, update
    private       git without the user's configuration: PrivateRepository.run, tree_of
    plan          a plan's data: Plan, from_flags, override, to_data, to_yaml, schema, duration_us
    plan_file     plan files, with lines in errors: load, loads, from_data
    ownership     which unit owns which path: check_units, overlap
    slicing       units of a plan on a base's tree: entries, slice_units, PlannedUnit
    surroundings  what lies around a base: included, runtimes, notes, editable_installs
    workspace     a unit's files: Workspace.prepare, reopen, snapshot, apply, remove
    removal       deletes what an agent wrote, however it made it: remove
    changeset     what an attempt changed: capture, out_of_scope, describe, differences
    delivery      what becomes of it: commit, put_branch, salvage, patch, diff
    merge         units put together in memory: merge, conflicts, merged_branch
    checkout      moves a branch of the user's forward: fast_forward, move, command_for

All of it blocks; under trio call it through `trio.to_thread.run_sync`.
"""
