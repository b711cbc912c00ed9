# Crowds that want the same things: best available while there is any, pools to
# the last place, no more than one person may have, and one effect for one key
# however often and wherever it is sent.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use Ticket::Http qw(http http_many);
use Ticket::MariaDB;
use Ticket::Redis;
use Ticket::Worker;

my $db = Ticket::MariaDB->new(dir => temp_dir());
my $redis = Ticket::Redis->new(dir => temp_dir());
$db->add_hall(id => 1, room => 'hall', ttl_ms => 3_600_000,
    sections => [map { {name => $_, rows => 40, seats_per_row => 50, tier => "t$_", focal => [2500, 0]} } 'A' .. 'D']);
$db->add_hall(id => 2, room => 'hall', ttl_ms => 3_600_000, max_per_user => 4,
    sections => [{name => 'L', rows => 10, seats_per_row => 20}],
    pools => [{name => 'floor', capacity => 500, buckets => 16}]);
$db->add_hall(id => 3, room => 'hall', ttl_ms => 3_600_000,
    sections => [{name => 'M', rows => 1, seats_per_row => 10}], pools => [{name => 'floor', capacity => 1000, buckets => 7}]);
my @workers = map { worker($_) } 0, 1;

sub worker {
    my ($n) = @_;
    my $worker = Ticket::Worker->new(dir => temp_dir(), db => $db, name => "worker$n",
        $n ? (token_keys => temp_dir() . '/worker0.keys') : (),
        redis => {socket => $redis->socket}, config => {log_level => 'warn'});
    $worker->{secret} = $workers[0]{secret} if $n;
    return $worker;
}

sub want {
    my ($number, $performance, $body, $key) = @_;
    return $workers[0]->request($number, POST => "/v1/performances/$performance/holds", $body, $key);
}

sub statuses {
    my %n;
    $n{$_->{status}}++ for @_;
    return \%n;
}

# The requests, each half to one of the workers at the same time.
sub to_both {
    my ($requests, $concurrency) = @_;
    my $file = temp_dir() . '/half';
    my @half = map { my $w = $_; [grep { $_ % 2 == $w } 0 .. $#$requests] } 0, 1;
    my $pid = fork() // die "fork: $!\n";
    require Storable;
    if ($pid == 0) {
        my $told = http_many($workers[1]->target, [@$requests[@{$half[1]}]], concurrency => $concurrency);
        Storable::nstore([map { {status => $_->{status}, body => $_->{body}, json => $_->{json} && {%{$_->{json}}}} } @$told], $file);
        POSIX::_exit(0);
    }
    my @answers;
    @answers[@{$half[0]}] = @{http_many($workers[0]->target, [@$requests[@{$half[0]}]], concurrency => $concurrency)};
    waitpid $pid, 0;
    @answers[@{$half[1]}] = @{Storable::retrieve($file)};
    return @answers;
}

require POSIX;

subtest '160 parties at a time take 8,000 seats' => sub {
    my ($taken, @refused, %seen, $lone) = (0);
    for my $round (1 .. 40) {
        my @sizes = map { 1 + int rand 6 } 1 .. 160;
        my $told = http_many($workers[0]->target,
            [map { want($round * 1000 + $_, 1, {best => {quantity => $sizes[$_ - 1]}}) } 1 .. 160], concurrency => 160);
        push @refused, map { [$round, $sizes[$_]] } grep { $told->[$_]{status} != 201 } 0 .. 159;
        for my $hold (map { $_->{json} } grep { $_->{status} == 201 } @$told) {
            my @names = map { $_->{seat} } @{$hold->{seats}};
            fail "twice: $_" for grep { $seen{$_}++ } @names;
            my @pos = sort { $a <=> $b } map { (split /-/)[-1] } @names;
            my %row = map { /^(.*)-/ ? ($1 => 1) : () } @names;
            fail "not together: @names" if keys %row != 1 || $pos[-1] - $pos[0] != $#pos;
            $taken += @names;
        }
        last if @refused;
    }
    my ($first) = @refused;
    diag "$taken of 8,000 were taken when a party of $first->[1] was refused" if $ENV{TICKET_VERBOSE};
    cmp_ok $taken, '>=', 7500, 'nobody is refused while there is room';
    # What is left has no block that somebody was refused: the smallest party.
    my ($least) = sort { $a <=> $b } map { $_->[1] } @refused;
    my %free = map { $_->[0] => 1 } @{$db->rows("SELECT seat FROM seat_now WHERE performance_id = 1 AND state = 'free'")};
    my $longest = 0;
    for my $seat (keys %free) {
        my ($row, $pos) = $seat =~ /^(.*)-(\d+)$/;
        my $n = 0;
        $n++ while $free{"$row-" . ($pos + $n)};
        $longest = $n if $n > $longest;
    }
    cmp_ok $longest, '<', $least, 'no block is left for the smallest party that was refused';
};

subtest 'no more than a person may have, from twenty devices at once' => sub {
    my @requests = map { want(7, 2, {$_ % 3 ? (pools => [{pool => 'floor', quantity => 1}]) : (best => {quantity => 1})}) } 1 .. 60;
    my @told = to_both(\@requests, 20);
    is_deeply statuses(@told), {201 => 4, 422 => 56}, 'S3: four places, and no fifth';
    is scalar(grep { $_->{status} == 422 && $_->{json}{code} ne 'limit_exceeded' } @told), 0, 'and the reason';
    is_deeply $db->rows('SELECT held, max_units FROM user_limit'), [[4, 4]], 'the database counted';
    is http($workers[0]->target, @{want(8, 2, {best => {quantity => 5}})})->{status}, 422, 'nor five in one';

    my @identity = ('X-Ticket-Identity' => 'someone@example.net');
    my @two = map { my $r = want($_, 2, {best => {quantity => 3}}); push @{$r->[2]}, @identity; $r } 20, 21;
    is_deeply statuses(map { http($workers[0]->target, @$_) } @two), {201 => 1, 422 => 1}, 'one identity, whatever the session';

    my ($mine) = grep { $_->{status} == 201 } @told;
    is http($workers[0]->target, @{$workers[0]->request(7, DELETE => "/v1/holds/$mine->{json}{hold}")})->{status}, 204, 'given back';
    is http($workers[1]->target, @{want(7, 2, {best => {quantity => 1}})})->{status}, 201, 'there may be another';
};

subtest 'a pool, to the last place' => sub {
    my @sizes = map { 1 + int rand 4 } 1 .. 900;
    my @told = to_both([map { want(100 + $_, 3, {pools => [{pool => 'floor', quantity => $sizes[$_ - 1]}]}) } 1 .. 900], 40);
    my ($sold, %refused) = (0);
    for my $i (0 .. $#told) {
        if ($told[$i]{status} == 201) { $sold += $sizes[$i] }
        else { $refused{$told[$i]{json}{code} // $told[$i]{status}}++ }
    }
    is_deeply [keys %refused], ['pool_unavailable'], 'whoever is refused is told why';
    cmp_ok $sold, '<=', 1000, 'S3: no more than there are';
    is $db->value('SELECT SUM(held) FROM pool_bucket WHERE performance_id = 3'), $sold, 'and as many as were told';
    my @rest = map { http($workers[$_ % 2]->target, @{want(2000 + $_, 3, {pools => [{pool => 'floor', quantity => 1}]})}) }
        1 .. 1000 - $sold + 2;
    is_deeply statuses(@rest), {(1000 - $sold ? (201 => 1000 - $sold) : ()), 409 => 2}, 'the last places go, one by one';
};

subtest 'all or none of a mixture' => sub {
    my $answer = http($workers[0]->target, @{want(1, 3, {seats => ['M-1-1'], pools => [{pool => 'floor', quantity => 1}]})});
    is $answer->{json}{code}, 'pool_unavailable', 'the pool is empty';
    is $db->seat(3, 'M-1-1')->{state}, 'free', 'so the seat stays free';
    $answer = http($workers[0]->target, @{want(1, 2, {seats => ['L-1-1'], pools => [{pool => 'floor', quantity => 1}], best => {quantity => 2}})});
    is $answer->{status}, 201, 'a seat, a place and two of the best';
    is scalar(@{$answer->{json}{seats}}), 3, 'three seats';
    is_deeply [map { @$_{qw(pool quantity)} } @{$answer->{json}{pools}}], ['floor', 1], 'and the place';
};

subtest 'a hundred repeats of one request' => sub {
    my $key = Ticket::Worker::new_key();
    my @told = to_both([map { want(500, 2, {best => {quantity => 2}}, $key) } 1 .. 100], 50);
    my $n = statuses(@told);
    is_deeply [grep { $_ != 201 && $_ != 409 } keys %$n], [], 'S6: done, or still under way';
    is scalar(grep { $_->{status} == 409 && $_->{json}{code} ne 'in_progress' } @told), 0, 'nobody is refused';
    my %body = map { $_->{body} => 1 } grep { $_->{status} == 201 } @told;
    is scalar(keys %body), 1, 'all answers are the same, byte for byte';
    is $db->value("SELECT COUNT(*) FROM hold WHERE performance_id = 2 AND owner LIKE '%-500'"), 1, 'and there is one hold';
    my $again = http($workers[1]->target, @{want(500, 2, {best => {quantity => 2}}, $key)});
    is $again->{headers}{'idempotency-replayed'}, '?1', 'a replay says that it is one';
    $_->stop, $_->start for @workers;
    is http($_->target, @{want(500, 2, {best => {quantity => 2}}, $key)})->{body}, (keys %body)[0], 'also after a restart'
        for @workers;
    is http($_->target, @{want(500, 2, {best => {quantity => 3}}, $key)})->{status}, 422, 'another body is refused' for @workers;
};

subtest 'who was refused is refused again with the same key' => sub {
    my $held = http($workers[0]->target, @{want(600, 2, {seats => ['L-2-2']})});
    my ($key, $body) = (Ticket::Worker::new_key(), {seats => ['L-2-2']});
    my $told = http($workers[0]->target, @{want(601, 2, $body, $key)});
    is $told->{status}, 409, 'refused';
    http($workers[0]->target, @{$workers[0]->request(600, DELETE => "/v1/holds/$held->{json}{hold}")});
    my $again = http($workers[0]->target, @{want(601, 2, $body, $key)});
    is_deeply [$again->{status}, $again->{body}], [409, $told->{body}], 'S6: one answer, though it is free by now';
    is http($workers[0]->target, @{want(601, 2, $body)})->{status}, 201, 'a new key is a new request';
};

is $db->broken, '', 'the invariants hold';

done_testing;
