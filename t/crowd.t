# The crowd: that its two judgements see what they have to and no more, and
# that a crowd gets through a real stack with nothing to complain of.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../scripts/lib";
use Ticket::Test;
use Crowd::Tally qw(percentile);
use IO::Handle ();
use IO::Socket::UNIX;
use MIME::Base64 ();
use Ticket::MariaDB;
use Ticket::Nginx;
use Ticket::Redis;
use Ticket::Worker;

my $crowd = root_dir() . '/scripts/crowd';

sub tally { return Crowd::Tally->new(slack => 1, liveness => 30) }

# Told a state, and to come again after so many seconds (default 1).
sub told {
    my ($tally, $visitor, $state, $sent, $now, $pause) = @_;
    $tally->told($visitor, $state, $sent, $now, $pause // 1);
    return;
}

sub visitor { return {epoch => $_[0], number => $_[1]} }

subtest 'overtaken' => sub {
    my ($low, $high) = (visitor(7, 10), visitor(7, 20));
    my $tally = tally();
    told($tally, $low, 'waiting', 100, 100.1);
    told($tally, $high, 'called', 102, 102.5);
    told($tally, $low, 'waiting', 103.4, 103.5);
    is $tally->{overtaken}, 0, 'within the slack nobody is';
    cmp_ok abs($tally->{news} - 0.9), '<', 1e-6, 'but it is measured';
    told($tally, $low, 'waiting', 103.6, 103.7);
    is $tally->{overtaken}, 1, 'after it the lower number is';
    told($tally, $low, 'waiting', 110, 111);
    is $tally->{overtaken}, 1, 'and is counted once';
    ok $tally->broken, 'which breaks a rule';

    $tally = tally();
    told($tally, $high = visitor(7, 20), 'admitted', 102, 102.5);
    told($tally, visitor(7, 10), 'called',  105, 105.1);
    told($tally, visitor(7, 30), 'waiting', 105, 105.1);
    told($tally, visitor(8, 10), 'waiting', 105, 105.1);
    is $tally->{overtaken}, 0, 'not who is called too, nor a higher number, nor another epoch';

    $low = visitor(7, 10);
    told($tally, $low, 'waiting', 60,  60.1, 40);
    told($tally, $low, 'waiting', 101, 101.1);
    is $tally->{returned}, 0, 'who polls when asked to is present';
    told($tally, $low, 'waiting', 132, 132.1);
    is $tally->{overtaken}, 0, 'not who was silent for longer than the liveness';
    is $tally->{returned}, 1, 'who is counted as returned';
    ok !$tally->broken, 'which breaks no rule';
};

subtest 'who was first ahead' => sub {
    my $tally = tally();
    my ($time, @calls) = (1000);
    for (1 .. 300) {
        my $number = 1 + int rand 1000;
        push @calls, [++$time, $number];
        told($tally, visitor(1, $number), 'called', $time, $time);
    }
    my $wrong = 0;
    for my $number (1 .. 1000) {
        my ($first) = grep { $_->[1] > $number } @calls;
        my $got = $tally->passed_at(1, $number);
        $wrong++ if ($got // 0) != ($first ? $first->[0] : 0);
    }
    is $wrong, 0, 'as a plain search finds it';
};

subtest 'double sold' => sub {
    my $tally = tally();
    $tally->held('a', ['A-1', 'A-2'], 100, 101, 10);
    $tally->held('a', ['A-1'],        102, 103, 10);
    is $tally->{double}, 0, 'not to the same visitor';
    $tally->held('b', ['A-2'], 109, 110.5, 10);
    is $tally->{double}, 0, 'not after the hold may have ended';
    $tally->held('c', ['A-1'], 110, 111, 10);
    is $tally->{double}, 1, 'but before';
    ok $tally->broken, 'which breaks a rule';
    is $tally->seats, 2, 'distinct seats';
};

subtest 'percentile' => sub {
    is percentile([], 0.5), 0, 'of nothing';
    is percentile([1 .. 100], 0.5), 51, 'the middle';
    is percentile([1 .. 100], 1), 100, 'the greatest';
};

subtest 'usage' => sub {
    for my $wrong (['--visitors', 0], ['--visitors', 10_001], ['--stay', -1], ['--nonsense'], ['extra'], ['--url', 'ftp://x']) {
        my ($status, undef, $err) = run($crowd, @$wrong);
        is $status, 2, "@$wrong: exit 2";
        like $err, qr/usage:|not an address/, 'and why';
    }
};

subtest 'nobody there' => sub {
    my ($status, $out) = run($crowd, '--url', 'unix:' . temp_dir() . '/nobody', qw(--visitors 3 --arrive 0 --patience 0.5));
    is $status, 1, 'exit 1';
    like $out, qr/^no answer +3$/m, 'three got no answer';
};

# A server that answers every request with the next of these, for ever the last.
# What it was asked is in the file of that name with ".log".
sub scripted {
    my (@answers) = @_;
    my $path = temp_dir() . '/scripted' . ++(our $count);
    open my $log, '>', "$path.log" or die "$path.log: $!\n";
    $log->autoflush;
    my $listener = IO::Socket::UNIX->new(Local => $path, Listen => 64) or die "listen: $!\n";
    my $pid = fork() // die "fork: $!\n";
    if ($pid == 0) {
        $SIG{TERM} = 'DEFAULT';
        while (my $client = $listener->accept) {
            sysread $client, my $request, 65536;
            print {$log} "$request\n";
            my ($status, $body, @headers) = @{@answers > 1 ? shift @answers : $answers[0]};
            print {$client} join "\r\n", "HTTP/1.1 $status X", 'Content-Type: application/json', 'Connection: close',
                'Content-Length: ' . length $body, @headers, '', $body;
            close $client;
        }
        POSIX::_exit(0);
    }
    return ($path, sub { kill 'TERM', $pid; waitpid $pid, 0 });
}

subtest 'a server that changes a number' => sub {
    my $token = sub { 'Set-Cookie: ticket-queue-x=' . MIME::Base64::encode_base64url(pack 'CCnNQ>x32', 1, 1, 1, 5, $_[0]) };
    my ($path, $stop) = scripted(
        [201, '{"state":"waiting","number":1,"poll_after_ms":50}', $token->(1)],
        [200, '{"state":"waiting","number":2,"poll_after_ms":50}', $token->(2)],
        [200, '{"state":"waiting","number":2,"poll_after_ms":50}']);
    my ($status, $out) = run($crowd, '--url', "unix:$path", qw(--visitors 1 --arrive 0 --timeout 4));
    $stop->();
    is $status, 1, 'exit 1';
    like $out, qr/^numbers changed +1$/m, 'is found out';
};

subtest 'a hold that has to be asked for again' => sub {
    my $pass = 'Set-Cookie: ticket-pass-x=' . MIME::Base64::encode_base64url(pack 'CCnNQ>x32', 1, 2, 1, 5, 1);
    my $list = '{"performance":1,"seats":[{"seat":"A-1","state":"free","version":0},{"seat":"A-2","state":"free","version":0}]}';
    my $hold = sub { qq({"hold":"h","expires_in_ms":1000,"seats":[{"seat":"$_[0]","version":1}]}) };
    my ($path, $stop) = scripted(
        [201, '{"state":"admitted","number":1}', $pass], [200, $list], [503, '{"code":"unavailable"}'],
        [409, '{"code":"seat_unavailable"}'], [201, $hold->('A-1')], [204, '']);
    my ($status, $out) = run($crowd, '--url', "unix:$path", qw(--visitors 1 --arrive 0 --stay 0 --timeout 20));
    $stop->();
    is $status, 0, 'exit 0' or diag $out;
    like $out, qr/^seats held +1   1 holds, 1 conflicts$/m, 'is made';
    my @posts = grep { /^POST \S+holds / } split /(?=^(?:GET|POST|DELETE) )/m, slurp("$path.log");
    my @asked = map { [/^Idempotency-Key: (\S+)\r$/m, /(A-[12])/] } @posts;
    is scalar(@asked), 3, 'three times asked for';
    is_deeply $asked[1], $asked[0], 'after a failure with the same key, for the same seat';
    isnt $asked[2][0], $asked[1][0], 'another seat, another key';
    isnt $asked[2][1], $asked[1][1], '... it is another seat';
};

subtest 'a real stack' => sub {
    my $redis  = Ticket::Redis->new(dir => temp_dir());
    my $db     = Ticket::MariaDB->new(dir => temp_dir());
    my $keys   = Ticket::Nginx::keys_file();
    my $worker = Ticket::Worker->new(dir => temp_dir(), db => $db, token_keys => $keys);
    $db->add_performance(1, 'hall', 300_000, map { "A-$_" } 1 .. 150);
    my $target = $worker->target;
    my $nginx = Ticket::Nginx->new(redis => $redis, http => <<"END");
    ticket_redis unix:%%REDIS%%;
    ticket_zone  rooms:8m;
    ticket_keys  %%KEYS%%;
    ticket_room  hall { slots 40; session 5m; claim 1m; liveness 1m; }
    upstream worker { server $target; }
    server {
        listen unix:%%SOCK%%;
        location = /queue  { ticket_queue hall; }
        location /buy/ {
            ticket_gate      hall queue=/queue;
            proxy_set_header X-Ticket-Pass \$ticket_pass;
            proxy_pass       http://worker/;
        }
    }
END
    my ($status, $out, $err) = run($crowd, '--url', $nginx->target, qw(--visitors 200 --arrive 0.5 --stay 0.3 --timeout 60));
    is $status, 0, 'exit 0' or diag $out, $err;
    my %fact = $out =~ /^(\w[\w ]*?) +([0-9]+)\b/mg;
    is $fact{$_->[0]}, $_->[1], "$_->[0]: $_->[1]"
        for ['admitted', 200], ['overtaken', 0], ['double sold', 0], ['seats held', 150], ['no seat left', 50],
            ['no answer', 0], ['errors', 0];
    cmp_ok $fact{'poll requests'}, '>', 100, 'visitors waited';
    is $db->value("SELECT COUNT(*) FROM seat WHERE state = 'held'"), 150, 'the database agrees';

    $redis->cmd('SET', 'ticket:{hall}:stock', 0);
    ($status, $out, $err) = run($crowd, '--url', $nginx->target, qw(--visitors 20 --arrive 0.5 --timeout 60));
    is $status, 0, 'sold out: exit 0' or diag $out, $err;
    %fact = $out =~ /^(\w[\w ]*?) +([0-9]+)\b/mg;
    is $fact{$_->[0]}, $_->[1], "sold out: $_->[0]: $_->[1]"
        for ['admitted', 0], ['told sold out', 20], ['no answer', 0], ['errors', 0];
};

done_testing;
