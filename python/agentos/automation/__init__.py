"""What runs by itself: jobs at their times, triggers on events, and workflows of several steps. Low to high:

work              what a document says is to be done: Work, names, durations
document          reads documents, with lines in errors: Document
task              work made ready to run: prepare, Prepared, Ended
program           a program as a process of the kernel: run, expand
standing          the session of work that nobody is attached to
performing        a task through its engine, under a process: perform, Place
cron              jobs and their times, as data: due, ended
firing            one run of a job or a trigger: fire
clock             runs jobs at their times: Clock
trigger           triggers and events, as data: matches, fired, ended
origin            which triggers led to what
watch             fires triggers: Watch
workflow          workflows, as data: read
workflow_records  what the journal knows of them
workflow_steps    the steps of a run: Steps
workflow_run      one run: Runner, begin, nested
verbs, workflow_verbs   what the daemon answers
"""
