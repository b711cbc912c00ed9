# A reload, and a worker process killed with -9, under polling: no lost place,
# no 5xx, and the line moves on.

use lib 't/lib';
use Ticket::Test;
use Ticket::Redis;
use Ticket::Line;
use Time::HiRes qw(sleep time);

my $redis = Ticket::Redis->new(dir => temp_dir());
my $room  = 'slots 10; session 60s; claim 30s; liveness 30s;';
my $node  = line_node($redis, $room);
my @crowd = crowd($node, 110);
my @inside  = grep { $_->{state} eq 'admitted' } @crowd;
my @waiting = grep { $_->{state} eq 'waiting' } @crowd;
sleep 0.4;
poll_all(\@waiting);
is_deeply([map { $_->{position} } @waiting], [1 .. 100], 'a hundred wait');
my %number = map { $_ => $_->{number} } @waiting;

# Another process polls on all the while and notes what is not as it should be.
sub under_polling {
    my ($what, $name) = @_;
    my $stop = temp_dir() . "/stop-$name";
    my $report = temp_dir() . "/report-$name";
    my $pid = fork() // die "fork: $!";
    if (!$pid) {
        my ($polls, @bad) = (0);
        while (!-e $stop) {
            for my $r (poll_all(\@waiting)) {
                $polls++;
                push @bad, $r->{status} . ' ' . ($r->{error} // $r->{body})
                    if $r->{status} != 200 || $r->{json}{state} ne 'waiting';
            }
            push @bad, 'number changed' if grep { $_->{number} != $number{$_} } @waiting;
        }
        open my $fh, '>', $report or POSIX::_exit(1);
        print $fh "$polls\n", map { "$_\n" } @bad;
        close $fh;
        POSIX::_exit(0);
    }
    sleep 0.2;
    $what->();
    sleep 0.4;
    open my $fh, '>', $stop or die "$stop: $!";
    close $fh;
    waitpid $pid, 0;
    my ($polls, @bad) = split /\n/, slurp($report);
    cmp_ok($polls // 0, '>', 100, "$name: " . ($polls // 0) . ' polls meanwhile');
    is_deeply(\@bad, [], "$name: all 200, all waiting, all with their number");
    return;
}

under_polling(sub { $node->reload for 1 .. 3 }, 'reload');
eventually { poll_all(\@waiting); !grep { $waiting[$_]{position} != $_ + 1 } 0 .. 99 } 3,
    'reload: everybody has their position';

# New settings come with a reload, and what was shared is kept.
$node->configure(http => line_http('slots 15; session 60s; claim 30s; liveness 30s;'));
$node->reload;
eventually { poll_all(\@waiting); 5 == grep { $_->{state} eq 'called' } @waiting } 3,
    'five more slots call five more';
my @called = grep { $_->{state} eq 'called' } @waiting;
is_deeply([numbers(@called)], [11 .. 15], 'the next five');
my @claimed = post_all(\@called);
is((grep { $_->{status} == 200 && $_->{json}{state} eq 'admitted' } @claimed), 5, 'who get in');
@waiting = grep { $_->{state} eq 'waiting' } @waiting;

# Stop and start: the shared memory is new, the places are not.
$node->stop;
$node->start;
my @first = poll_all(\@waiting);
is((grep { $_->{status} != 200 || $_->{json}{state} ne 'waiting' } @first), 0, 'restart: nobody lost the place');
eventually { poll_all(\@waiting); !grep { ($waiting[$_]{position} // 0) != $_ + 1 } 0 .. 94 } 3,
    'restart: everybody has their position';

# The process that exchanges dies: another takes over.
for my $round (1 .. 2) {
    $node->kill_worker9;
    eventually { poll_all([$waiting[0]]); defined $waiting[0]{updated_ms} && $waiting[0]{updated_ms} < 300 } 6,
        "kill -9: exchanges go on (round $round)";
}
leave_all([@inside[0 .. 4]]);
eventually { poll_all(\@waiting); 5 == grep { $_->{state} eq 'called' } @waiting } 3, 'and the line moves';

done_testing;
