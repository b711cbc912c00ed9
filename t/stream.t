# The streams of seat events: every worker applies them to its memory and keeps
# the last ones for listeners, who resume where they were, or are told that
# they cannot.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use Ticket::Drive;
use Ticket::MariaDB;
use Ticket::Redis;

my $db    = Ticket::MariaDB->new(dir => temp_dir(), private => 1);
our $redis = Ticket::Redis->new(dir => temp_dir());
my $KEY   = 'ticket:{hall}:seats';

sub drive {
    my ($name) = @_;
    return Ticket::Drive->new(dir => temp_dir(), db => $db, name => $name, redis => {socket => $redis->socket});
}

sub said { return scalar grep { $_ =~ $_[1] } split /\n/, slurp($_[0]{log}) }

# An event that comes from elsewhere; returns its id.
sub event {
    my ($performance, $seat, $state, $version, %option) = @_;
    my $hold = $state == 1 ? '01' x 16 : '';
    my $expires = $state == 1 ? 4_000_000_000_000 : 0;
    return $redis->cmd(XADD => $option{key} // $KEY, $option{id} // '*', p => $performance,
        e => qq({"seats":[[$seat,$state,$version,"$hold",$expires]],"buckets":[],"holds":[]}));
}

# The worker has read up to the event.
sub reads_to {
    my ($worker, $id, $performance) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $performance //= 1;
    eventually { $worker->order("last $performance") eq $id } 20, "the worker has read $id"
        or diag 'it is at ' . $worker->order("last $performance");
    return;
}

# What a listener gets who has heard the id: one line, and the new id.
sub after {
    my ($worker, $id, $performance) = @_;
    my ($first, $text) = split /\n/, $worker->order('after', $performance // 1, $id), 2;
    my ($what, $now) = split / /, $first;
    return ($what, $now, $text);
}

my $one = drive('one');
eventually { $one->stat('live') } 10, 'live without any hall';
$one->order('hall 1 hall');

subtest 'events are applied' => sub {
    my $id = event(1, 4, 1, 1);
    reads_to($one, $id);
    is $one->order('seat 1 4'), 'held 1', 'in memory';
    event(1, 4, 0, 2);
    event(1, 4, 1, 1);
    $id = event(99, 4, 2, 8);
    reads_to($one, $id);
    is $one->order('seat 1 4'), 'free 2', 'an old version changes nothing, nor does another performance';
    is $one->stat('events'), 4, 'they are counted';
    is $one->stat('halls_live'), 1, 'memory is up to date';
};

subtest 'from one worker to another' => sub {
    $one->add(seat => 7, state => 2, version => 3, n => 5, left => 20);
    eventually { $one->order('seat 1 11') eq 'sold 3' } 10, 'through outbox, keeper and stream';
    my $last = $one->order('last 1');
    my ($what, undef, $text) = after($one, $last);
    is $what, 'quiet', 'who has heard all gets nothing';
    event(1, 20, 1, 1);
    my $id = event(1, 20, 0, 2);
    reads_to($one, $id);
    ($what, my $now, $text) = after($one, $last);
    is "$what $now", "events $id", 'two more make one event, with the id of the last';
    is $text, qq(id: $id\nevent: seats\ndata: {"seats":[[20,0]],"pools":[]}\n\n), 'the seat once, as it is';
    $one->add(seat => 30, state => 1, version => 4, left => 25);
    eventually { $one->order('last 1') ne $id } 10, 'a pool';
    like +(after($one, $id))[2], qr/"seats":\[\[30,1\]\],"pools":\[\[0,50\]\]/, 'with what is left in all its buckets';
};

subtest 'malformed events' => sub {
    my $before = $one->order('last 1');
    $redis->cmd(XADD => $KEY, '*', @$_) for [p => 1, e => 'x'], [p => 1], [e => '{}'], [hello => 'world'],
        [p => '-1', e => '{"seats":[],"buckets":[],"holds":[]}'], [p => 1, e => '{"seats":[[1,2]],"buckets":[],"holds":[]}'];
    my $id = event(1, 40, 1, 1);
    reads_to($one, $id);
    is $one->stat('malformed'), 6, 'are counted';
    cmp_ok said($one, qr/is not one of seats/), '>=', 1, 'and logged';
    is $one->order('seat 1 40'), 'held 1', 'and the next one is applied';
    is $one->stat('live'), 1, 'still live';
    like +(after($one, $before))[2], qr/"seats":\[\[40,1\]\]/, 'listeners get what there is';
};

subtest 'two performances and two rooms' => sub {
    $one->order('hall 2 hall');
    $one->order('hall 3 other');
    eventually { $one->order('last 2') eq $one->order('last 1') } 10, 'a new performance begins where the room is';
    my $begin = $one->order('last 2');
    is +(after($one, $begin, 2))[0], 'quiet', 'with nothing to tell';
    my $id = event(1, 41, 1, 1);
    reads_to($one, $id, 2);
    is +(after($one, $begin, 2))[0], 'quiet', 'events of the other are not its own';
    is +(after($one, $id, 2))[0], 'quiet', 'but their ids are good';
    is $one->order('last 3'), '', 'the other room has none';
    is +(after($one, '', 3))[0], 'quiet', 'which is where one begins there';
    my $other = event(3, 1, 1, 1, key => 'ticket:{other}:seats');
    reads_to($one, $other, 3);
    like +(after($one, '', 3))[2], qr/\[\[1,1\]\]/, 'and hears the first event';
};

subtest 'ids that lead nowhere' => sub {
    is +(after($one, $_))[0], 'gone', "'$_'" for '1-1', 'x', '9999999999999-0', '1', '18446744073709551616-1';
    is +(after($one, ''))[0], 'gone', 'none, when there were events before';
};

subtest 'a worker that begins later' => sub {
    my $id = $one->order('last 1');
    event(1, 50 + $_, 1, 1) for 1 .. 5;
    my $last = event(1, 60, 1, 1);
    my $two = drive('two');
    $two->order('hall 1 hall');
    reads_to($two, $last);
    my ($what, $now, $text) = after($two, $id);
    is "$what $now", "events $last", 'takes over listeners of another';
    like $text, qr/"seats":\[\[51,1\],\[52,1\],\[53,1\],\[54,1\],\[55,1\],\[60,1\]\]/, 'who miss nothing';
    is $two->order('seat 1 51'), 'held 1', 'and has the past in memory';
    $two->stop;
};

subtest 'only so far back' => sub {
    $redis->cmd(DEL => 'ticket:{long}:seats');
    my @ids = @{$redis->pipeline(map {
        [XADD => 'ticket:{long}:seats', '*', p => 5, e => qq({"seats":[[1,0,$_,"",0]],"buckets":[],"holds":[]})]
    } 1 .. 5000)};
    my $three = drive('three');
    $three->order('hall 5 long');
    reads_to($three, $ids[-1], 5);
    is $three->stat('events'), 4096, 'four thousand events are read';
    is +(after($three, $ids[903], 5))[0], 'gone', 'what was before them is gone';
    is +(after($three, $ids[904], 5))[0], 'events', 'after the first of them all is there';
    $three->stop;
};

subtest 'Redis is away for a while' => sub {
    $redis->stop;
    my $persistent = Ticket::Redis->new(dir => temp_dir(), name => 'kept', aof => 1);
    my $four = Ticket::Drive->new(dir => temp_dir(), db => $db, name => 'four', redis => {socket => $persistent->socket});
    local $redis = $persistent;
    $four->order('hall 1 hall');
    my $id = event(1, 1, 1, 1);
    reads_to($four, $id);
    $persistent->stop;
    eventually { !$four->stat('live') && !$four->stat('halls_live') } 10, 'it is noticed';
    eventually { $four->stat('stream_failures') > 2 } 10, 'and tried again';
    is said($four, qr/seen late until/), 1, 'the log says so once';
    $persistent->restart;
    my $next = event(1, 2, 1, 1);
    reads_to($four, $next);
    eventually { $four->stat('halls_live') } 10, 'up to date again';
    is said($four, qr/streams are read again/), 1, 'and says that';
    my ($what, $now, $text) = after($four, $id);
    is "$what $now", "events $next", 'nothing was missed';
    is $four->stat('refreshes'), 0, 'so nothing is read anew';

    # While the worker cannot look, the stream loses what it has not seen.
    kill STOP => $four->pid;
    event(1, 3, 1, 1);
    my $left = event(1, 4, 1, 1);
    $persistent->cmd(XTRIM => $KEY, MAXLEN => 1);
    $persistent->cmd(CLIENT => KILL => TYPE => 'normal', SKIPME => 'yes');
    kill CONT => $four->pid;
    eventually { $four->stat('refreshes') == 1 } 20, 'a gap: halls are read anew';
    reads_to($four, $left);
    is +(after($four, $next))[0], 'gone', 'listeners begin anew';
    is +(after($four, $left))[0], 'quiet', 'from where it is now';

    # Redis forgets all.
    $persistent->restart(empty => 1);
    eventually { $four->stat('refreshes') == 2 } 20, 'the stream has vanished: the same';
    is +(after($four, $left))[0], 'gone', 'listeners begin anew';
    my $begin = $four->order('last 1');
    is +(after($four, $begin))[0], 'quiet', 'from an id that is good';
    $next = event(1, 5, 1, 1);
    reads_to($four, $next);
    like +(after($four, $begin))[2], qr/\[\[5,1\]\]/, 'and hear what comes';
    is +(after($four, $left))[0], 'gone', 'an old id stays gone';

    # Another Redis, the clock of which is behind.
    $persistent->restart(empty => 1);
    eventually { $four->stat('refreshes') == 3 && $four->stat('live') } 20, 'another stream that is empty';
    event(1, 6, 1, 1, id => '1000-0');
    eventually { $four->order('last 1') eq '1000-0' } 20, 'ids go back: the new ones count';
    is +(after($four, $next))[0], 'gone', 'the old ones do not';
    $four->stop;
};

done_testing;
