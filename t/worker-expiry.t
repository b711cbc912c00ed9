# Expiry: a hold that has run out is gone for its owner, its seats are free for
# everybody without anything having to run, and nothing late done in its name
# touches who holds them now.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use Ticket::Http qw(http http_many);
use Ticket::MariaDB;
use Ticket::Worker;
use Time::HiRes qw(sleep);

my $TTL_MS = 2500;

my $db = Ticket::MariaDB->new(dir => temp_dir());
$db->add_performance(1, 'hall', 300_000, map { "A-$_" } 1 .. 60);
my $worker = Ticket::Worker->new(dir => temp_dir(), db => $db);

sub hold { return http($worker->target, $worker->hold(@_)) }

# Lets every hold run out at once, as time would.
sub run_out {
    $db->do("UPDATE hold SET expires_at = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND;
             UPDATE seat SET expires_at = (SELECT expires_at FROM hold WHERE id = hold_id)
             WHERE state = 'held'");
    return;
}

# The seats of the list as a hash of name to entry.
sub seats {
    my ($number) = @_;
    return {map { $_->{seat} => $_ }
            @{$worker->ask($number, GET => '/v1/performances/1/seats')->{json}{seats}}};
}

subtest 'a hold lasts as long as it says' => sub {
    $db->do("UPDATE performance SET hold_ttl_ms = $TTL_MS");
    my $hold = hold(1, 'A-1', 'A-2')->{json};
    cmp_ok $hold->{expires_in_ms}, '<=', $TTL_MS, 'time left is no more than the time to live';
    cmp_ok $hold->{expires_in_ms}, '>', $TTL_MS - 1000, 'and nearly all of it';
    is hold(2, 'A-1')->{status}, 409, 'held against others until then';
    is seats(1)->{'A-1'}{state}, 'held', 'and listed as held';
    ok seats(1)->{'A-1'}{mine}, 'as mine to its owner';
    ok !exists seats(2)->{'A-1'}{mine}, 'not to others';

    sleep $TTL_MS / 1000 + 0.05;
    my $answer = $worker->ask(1, GET => "/v1/holds/$hold->{hold}");
    is $answer->{status}, 410, 'after it the hold is gone';
    is $answer->{json}{code}, 'hold_expired', 'with a code of its own';
    my $seat = seats(1)->{'A-1'};
    is_deeply $seat, {seat => 'A-1', state => 'free', version => 1}, 'and its seat listed as free';
    is $db->value("SELECT state FROM seat WHERE seat = 'A-1'"), 'held',
        'though nothing has touched the row';
    $db->do('UPDATE performance SET hold_ttl_ms = 300000');
};

subtest 'taking over' => sub {
    my $old = hold(1, 'A-3', 'A-4', 'A-5')->{json};
    run_out();
    my $new = hold(2, 'A-4', 'A-6')->{json};
    is_deeply $new->{seats}, [{seat => 'A-4', version => 2}, {seat => 'A-6', version => 1}],
        'the seat goes over with its version raised';
    is $db->broken, '', 'the invariants hold in between';
    is $db->value("SELECT state FROM hold WHERE id = '$old->{hold}'"), 'taken_over',
        'the old hold is marked';
    is $worker->ask(1, GET => "/v1/holds/$old->{hold}")->{status}, 410, 'and gone for its owner';

    is $worker->ask(1, DELETE => "/v1/holds/$old->{hold}")->{status}, 204, 'a late release is heard';
    is $worker->ask(2, GET => "/v1/holds/$new->{hold}")->{status}, 200, 'but frees nothing of the new hold';
    is seats(3)->{'A-4'}{state}, 'held', 'the seat stays held';
    is $db->value("SELECT hold_id FROM seat WHERE seat = 'A-4'"), $new->{hold}, 'by the new hold';
    is hold(3, 'A-4')->{status}, 409, 'against others, too';
    is_deeply $db->rows("SELECT seat, state FROM seat WHERE seat IN ('A-3', 'A-5') ORDER BY seat"),
        [['A-3', 'free'], ['A-5', 'free']], 'what the old hold had left is given back';
};

subtest 'a version seen before the takeover' => sub {
    my $old = hold(1, 'A-7')->{json};
    run_out();
    is seats(3)->{'A-7'}{version}, 1, 'the list shows the version of the expired hold';
    my $answer = hold(2, {seat => 'A-7', version => 0});
    is $answer->{status}, 409, 'an older version is a conflict';
    is_deeply $answer->{json}{conflicts}, [{seat => 'A-7', state => 'free', version => 1}],
        'that names the version to use';
    is hold(2, {seat => 'A-7', version => 1})->{status}, 201, 'which then does';
    is $db->value("SELECT state FROM hold WHERE id = '$old->{hold}'"), 'taken_over', 'taking over';
};

subtest 'a crowd on expired holds of several seats' => sub {
    my @holds = map { my $n = $_; hold($n, map { "A-$_" } 10 + $n * 4 .. 13 + $n * 4)->{json} } 0 .. 5;
    run_out();
    my @wishes = map { my $n = $_; [map { 'A-' . (10 + ($n * 7 + $_ * 5) % 24) } 0 .. 3] } 1 .. 200;
    my $answers = http_many($worker->target,
        [map { $worker->hold(100 + $_, @{$wishes[$_]}) } 0 .. $#wishes], concurrency => 200);
    my (%status, %owner, $twice);
    for my $answer (@$answers) {
        $status{$answer->{status}}++;
        next if $answer->{status} != 201;
        for my $seat (map { $_->{seat} } @{$answer->{json}{seats}}) {
            $twice++ if exists $owner{$seat};
            $owner{$seat} = $answer->{json}{hold};
        }
    }
    is_deeply [sort keys %status], [201, 409], 'every answer is 201 or 409';
    ok !$twice, 'no seat was promised twice';
    ok scalar(keys %owner), 'some were taken over';
    my $names = join ',', map { "'A-$_'" } 10 .. 33;
    my $new = join ',', map { "'$_->{hold}'" } @holds;
    is_deeply {map { @$_ } @{$db->rows("SELECT seat, hold_id FROM seat
        WHERE seat IN ($names) AND hold_id NOT IN ($new)")}}, \%owner,
        'the database holds what was promised';
    my $lost = $db->value("SELECT COUNT(*) FROM hold WHERE id IN ($new) AND state = 'active'");
    my $whole = $db->value("SELECT COUNT(*) FROM (SELECT hold_id FROM seat WHERE hold_id IN ($new)
                            GROUP BY hold_id HAVING COUNT(*) = 4) whole");
    is $lost, $whole, 'a hold that lost a seat is marked, one that lost none is not';
    my ($retries) = http($worker->target, GET => '/metrics')->{body} =~
        /^ticket_worker_db_retries_total ([0-9]+)$/m;
    is $retries, 0, 'and the database saw no deadlock';
};

subtest 'release against takeover at the same moment' => sub {
    for my $round (1 .. 3) {
        my @old = map { hold($_, "A-" . (40 + $_ * 2), "A-" . (41 + $_ * 2))->{json} } 1 .. 6;
        run_out();
        my @requests = map {
            my $n = $_;
            ($worker->request($n, DELETE => "/v1/holds/$old[$n - 1]{hold}"),
             map { $worker->hold(50 + $_, 'A-' . (41 + $n * 2), 'A-' . (40 + $n * 2)) } 1 .. 4)
        } 1 .. 6;
        my $answers = http_many($worker->target, \@requests, concurrency => 30);
        my %n;
        $n{$_->{status}}++ for @$answers;
        is_deeply \%n, {201 => 6, 204 => 6, 409 => 18}, "round $round: one new owner each";
        is $db->broken, '', 'the invariants hold';
        run_out();
    }
};

done_testing;
