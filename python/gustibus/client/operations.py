"""Every operation once, for both clients."""

from __future__ import annotations

from typing import Self

from gustibus.client.calls import (
    answers,
    encoding,
    groups,
    imports,
    items,
    jobs,
    keys,
    matching,
    onboarding,
    operations,
    people,
    scoring,
    versions,
)
from gustibus.client.doors import Door_co, Iteration, LongOperation, Operation, Space, Wait


class Comparisons(Space[Door_co]):
    """What people preferred."""

    create = Operation(answers.create_comparisons)
    follow_ups = Operation(answers.send_follow_ups)
    list = Operation(answers.list_comparisons)
    iterate = Iteration(answers.list_comparisons)
    delete = Operation(answers.delete_comparison)


class Imports(Space[Door_co]):
    """Logs of comparisons."""

    create = Operation(imports.create_import)
    send = Operation(imports.send_data)
    get = Operation(imports.get_import)
    errors = Operation(imports.list_errors)
    iterate_errors = Iteration(imports.list_errors)


class Jobs(Space[Door_co]):
    """Work that takes longer than a request."""

    create = Operation(jobs.create_job)
    get = Operation(jobs.get_job)
    list = Operation(jobs.list_jobs)
    iterate = Iteration(jobs.list_jobs)
    cancel = Operation(jobs.cancel_job)
    result = Operation(jobs.job_result)
    wait = Wait()


class Keys(Space[Door_co]):
    """Keys of the service."""

    create = Operation(keys.create_key)
    list = Operation(keys.list_keys)
    iterate = Iteration(keys.list_keys)
    get = Operation(keys.get_key)
    update = Operation(keys.update_key)
    rotate = Operation(keys.rotate_key)
    revoke = Operation(keys.revoke_key)


class Versions(Space[Door_co]):
    """Versions of models, and which one is served."""

    model = Operation(versions.get_model)
    list = Operation(versions.list_versions)
    iterate = Iteration(versions.list_versions)
    get = Operation(versions.get_version)
    register = Operation(versions.register_version)
    validate = Operation(versions.validate_version)
    promote = Operation(versions.put_alias)
    delete_alias = Operation(versions.delete_alias)
    rollback = Operation(versions.rollback)
    delete = Operation(versions.delete_version)


class Users(Space[Door_co]):
    """People."""

    put = Operation(people.put_user)
    get = Operation(people.get_user)
    list = Operation(people.list_users)
    iterate = Iteration(people.list_users)
    delete = Operation(people.delete_user)
    profile = Operation(people.get_profile)
    reset_profile = Operation(people.reset_profile)
    restrict = Operation(people.restrict_user)
    unrestrict = Operation(people.unrestrict_user)
    release = Operation(people.release_user)
    export = Operation(people.export_user)
    consent = Operation(people.get_consent)
    put_consent = Operation(people.put_consent)
    next_pair = Operation(people.next_pair)


class Items(Space[Door_co]):
    """Responses that are kept under a name."""

    put = Operation(items.put_item)
    put_many = Operation(items.put_items)
    get = Operation(items.get_item)
    list = Operation(items.list_items)
    iterate = Iteration(items.list_items)
    delete = Operation(items.delete_item)


class Onboarding(Space[Door_co]):
    """Placing new people with a few questions."""

    create = Operation(onboarding.create_session)
    next = Operation(onboarding.next_question)
    answer = Operation(onboarding.put_answer)
    undo = Operation(onboarding.undo_answer)
    finish = Operation(onboarding.finish_session)
    result = Operation(onboarding.session_result)


class Matchings(Space[Door_co]):
    """Online matching."""

    create = Operation(matching.create_matching)
    get = Operation(matching.get_matching)
    list = Operation(matching.list_matchings)
    iterate = Iteration(matching.list_matchings)
    arrive = Operation(matching.arrive)
    report = Operation(matching.report)
    add_items = Operation(matching.add_items)
    expire = Operation(matching.expire)
    events = Operation(matching.list_events)
    iterate_events = Iteration(matching.list_events)
    delete = Operation(matching.delete_matching)


class Rank(Space[Door_co]):
    """What groups decide."""

    aggregate = LongOperation(groups.aggregate)
    committee = LongOperation(groups.committee)
    rerank = Operation(groups.fair_rerank)
    positions = Operation(groups.positions)

    @property
    def matchings(self) -> Matchings[Door_co]:
        """Online matching."""
        return Matchings(self.door)


class Operations:
    """What both clients can do."""

    score = Operation(scoring.score)
    score_batch = Operation(scoring.score_batch)
    rerank = Operation(scoring.rerank)
    compare = Operation(scoring.compare)
    best_of_n = Operation(scoring.best_of_n)
    encode = Operation(encoding.encode)
    models = Operation(operations.models)
    limits = Operation(operations.limits)
    version = Operation(operations.version)
    livez = Operation(operations.livez)
    readyz = Operation(operations.readyz)

    @property
    def comparisons(self) -> Comparisons[Self]:
        """What people preferred."""
        return Comparisons(self)

    @property
    def imports(self) -> Imports[Self]:
        """Logs of comparisons."""
        return Imports(self)

    @property
    def jobs(self) -> Jobs[Self]:
        """Work that takes longer than a request."""
        return Jobs(self)

    @property
    def keys(self) -> Keys[Self]:
        """Keys of the service."""
        return Keys(self)

    @property
    def versions(self) -> Versions[Self]:
        """Versions of models, and which one is served."""
        return Versions(self)

    @property
    def users(self) -> Users[Self]:
        """People."""
        return Users(self)

    @property
    def items(self) -> Items[Self]:
        """Responses that are kept under a name."""
        return Items(self)

    @property
    def onboarding(self) -> Onboarding[Self]:
        """Placing new people with a few questions."""
        return Onboarding(self)

    @property
    def rank(self) -> Rank[Self]:
        """What groups decide."""
        return Rank(self)
